update ops.run
set
    observed_count = observed_count + ?,
    new_count = new_count + ?,
    revised_count = revised_count + ?
where run_id = ?;
