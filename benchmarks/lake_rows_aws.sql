create temp table tx as
select block_number as height, index as n, inputs, outputs from read_parquet($paths) where block_number <= $last
