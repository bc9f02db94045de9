update ops.run
set status = ?, ended_at = ?, error = ?, publication = ?
where run_id = ?;
