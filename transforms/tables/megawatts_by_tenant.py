"""Power contracted and switched on, by day and tenant."""

from typing import Final

from transforms.metrics import megawatts
from transforms.tables.megawatts_by_company import megawatt_table

TABLE: Final = megawatt_table(
    "megawatts_by_tenant",
    "Power that each tenant has taken from miners, and that is switched on, as known on the day: one row a UTC day and "
    "tenant with a contract.",
    megawatts.tenant,
    megawatts.tenant_name,
)
