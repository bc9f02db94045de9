select day, exchange, pool, transfer_sat, transfer_count, top10_sat
from raw.latest_exchange_flow
where source = getvariable('source');
