update raw.quarantine
set status = $status,
    decided_at = $decided_at,
    decided_by = $decided_by,
    note = $note,
    entered_batch_id = $batch_id
where entry_id = $entry_id;
