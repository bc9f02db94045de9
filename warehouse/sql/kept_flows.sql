select * exclude (source, made_by)
from fold.flow_day
where source = getvariable('source') and made_by = getvariable('made_by');
