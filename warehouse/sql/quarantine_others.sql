update raw.quarantine
set status = 'rejected',
    decided_at = $decided_at,
    decided_by = $decided_by,
    note = $note
where source = $source
    and observed_table = $observed_table
    and row_key = $row_key
    and entry_id <> $entry_id
    and status = 'held';
