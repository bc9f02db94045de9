-- Any number that a coinbase does not have stands for the place of a transaction, which is not stated.
create temp table tx as
select
    block_number as height, if(is_coinbase, 0, row_number() over ()) as n,
    list_transform(inputs, lambda coin: {
        'address': if(len(coin.addresses) = 1 and coin.type not in ('pubkey', 'multisig'), coin.addresses[1], null),
        'value': coin.value / 1e8
    }) as inputs,
    list_transform(outputs, lambda coin: {
        'address': if(len(coin.addresses) = 1 and coin.type not in ('pubkey', 'multisig'), coin.addresses[1], null),
        'value': coin.value / 1e8
    }) as outputs
from read_parquet($paths) where block_number <= $last
