//! plan.json: facts about the office, for people who look into a spool.

use super::collector::{BytesKey, COLLECTORS};
use super::office::{Parents, Person, department_name};
use super::plan::{Plan, collector_at};
use super::programs::TEMPORARY;
use super::sites::site_at;
use crate::calendar::format_day;
use serde_json::{Value, json};

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The facts, indented.
pub fn to_json(plan: &Plan) -> String {
    let collectors: Vec<Value> = COLLECTORS
        .iter()
        .map(|c| {
            json!({ "name": c.name, "bytes_sent": c.bytes != BytesKey::None, "category": c.category, "crlf": c.crlf,
                "escapes": c.escapes })
        })
        .collect();
    let facts = json!({
        "seed": plan.seed,
        "first_day": format_day(plan.first),
        "days": plan.days,
        "research_moves_to_engineering_on": format_day(plan.office.move_day),
        "collectors": collectors,
        "servers_that_tell_parents":
            plan.office.hosts.iter().filter(|h| h.parents != Parents::Silent).map(|h| h.key.as_str()).collect::<Vec<_>>(),
        "people": plan.office.people.iter().map(|p| person(plan, p)).collect::<Vec<_>>(),
    });
    let mut text = format!("{facts:#}");
    text.push('\n');
    text
}

fn person(plan: &Plan, p: &Person) -> Value {
    let host = plan.office.host(p.host);
    let days: Vec<&str> =
        WEEKDAYS.iter().enumerate().filter(|(i, _)| p.weekdays >> i & 1 == 1).map(|(_, d)| *d).collect();
    let period = |days: Option<(i32, i32)>| days.map(|(a, b)| json!([format_day(a), format_day(b)]));
    json!({
        "user": p.key,
        "department": p.department.map(department_name),
        "location": p.location,
        "role": p.role.name(),
        "host": host.map(|h| h.key.as_str()),
        "collector": host.map(|h| collector_at(h.collector).name),
        "weekdays": days,
        "from_hour": p.from_hour,
        "hours": p.hours,
        "hired": (p.hired >= plan.first).then(|| format_day(p.hired)),
        "leaves": p.leaves.map(format_day),
        "away": period(p.away),
        "offline": period(p.offline),
        "temporary_programs":
            p.updaters.iter().filter_map(|u| TEMPORARY.get(usize::from(u.program)).map(|t| t.key)).collect::<Vec<_>>(),
        "shares_at": p.sharing.sites.iter().map(|s| site_at(*s).host).collect::<Vec<_>>(),
    })
}
