select * exclude (source)
from fold.exchange_flow_day
where source = getvariable('source');
