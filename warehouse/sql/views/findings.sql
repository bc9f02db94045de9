-- Can this publication be trusted? One row a check that failed, and one a series that is late; no row: nothing found.
-- finding: What was found: failed check, or late series.
-- severity: Of a check: error, which was accepted by hand, or warning; warning for what is late.
-- subject: The check with its table, or the supplier with its series.
-- detail: What the check found, or the days behind the run.
select
    'failed check' as finding,
    severity,
    concat_ws(': ', nullif(table_name, ''), check_name) as subject,
    detail
from meta.quality
where not passed
union all
select
    'late series',
    'warning',
    concat_ws(': ', source, series),
    concat(days_behind, ' days behind the run, allowed are ', allowed_lag_days)
from meta.freshness
where subject = 'series' and is_late;
