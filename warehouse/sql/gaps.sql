select free_blocks / greatest(total_blocks, 1)
from pragma_database_size()
where database_name = 'publication';
