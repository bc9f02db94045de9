"""From blocks to transfers of miners, transaction by transaction and hop by hop."""
