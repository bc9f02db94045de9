select source, origin, message
from ops.notice
where run_id = ?
order by source, origin, message;
