-- What was in the quarantine at a moment, and what had become of it by then.
insert into raw.quarantine by name
select * replace (
    case
        when released_at > $moment then case when decided_at <= $moment then 'accepted' else 'held' end
        when decided_at > $moment then 'held'
        else status
    end as status
)
from working.raw.quarantine
where first_seen_at <= $moment;
