-- What attribution says of the 0-hop layer, from the same JSON in one query. Tables `crowd` (script) and `exchange`
-- (script) are there before; the set grows by the coinbases of the blocks, each from its own height on.
with block as (
    select height, tx from read_json($path, format = 'newline_delimited', maximum_object_size = 67108864, columns = {columns})
),
told as materialized (
    select height, unnest(tx) as tx, generate_subscripts(tx, 1) as n from block
),
paid as (
    select height, n, unnest(tx.vout) as coin from told
),
spent as (
    select height, n, unnest(tx.vin).prevout as coin from told where n > 1
),
miner as (
    select script, 0 as first_height from crowd
    union all
    select coin.scriptPubKey.hex, min(height) from paid
    where n = 1 and coin.value > 0 and not starts_with(coin.scriptPubKey.hex, '6a') group by all
),
labelled as (
    select script, min(first_height) as first_height from miner anti join exchange using (script) group by script
),
senders as (
    select height, n, sum(coin.value) as total, sum(coin.value) filter (labelled.script is not null) as mined
    from spent left join labelled on labelled.script = coin.scriptPubKey.hex and first_height <= height
    group by height, n having mined > 0
),
shares as (
    select height, n, cast(total * 100000000 as hugeint) as total_sat, cast(mined * 100000000 as hugeint) as miner_sat
    from senders
),
outputs as (
    select height, n, total_sat, miner_sat, cast(coin.value::decimal(38, 8) * 100000000 as hugeint) as sat,
        labelled.script is null as leaves, exchange.script is not null as deposited
    from shares
    join paid using (height, n)
    left join labelled on labelled.script = coin.scriptPubKey.hex and first_height <= height
    left join exchange on exchange.script = coin.scriptPubKey.hex
),
sent as (
    select (sum(sat) filter (leaves)) * any_value(miner_sat) // any_value(total_sat) as outflow_sat,
        sum(sat * miner_sat // total_sat) filter (deposited) as transfer_sat
    from outputs group by height, n
)
select sum(outflow_sat), sum(transfer_sat) from sent
