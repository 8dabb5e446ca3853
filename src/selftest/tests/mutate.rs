//! Small changes of a rule, each of which makes another rule of it: a leaf or an alternative dropped, an operator or a number changed.

use toml::{Table, Value};

/// A changed rule.
pub struct Mutant {
    /// What was changed, where: `drop condition.any[2].token[1] "mput"`.
    pub change: String,
    /// The rule's file without its tests.
    pub text: String,
}

/// What an operator may be mistaken for.
const MISTAKEN: &[(&str, &str)] = &[
    ("contains", "equals"),
    ("equals", "contains"),
    ("starts_with", "contains"),
    ("starts_with", "equals"),
    ("ends_with", "contains"),
    ("path_component", "contains"),
    ("arg", "token"),
    ("arg_first", "arg"),
    ("arg_last", "arg"),
    ("first_operand", "arg"),
    ("switch_prefix", "switch"),
    ("switch_all", "switch"),
    ("after_switches", "command_line"),
    ("any", "all"),
    ("all", "any"),
];

/// Every mutant of a rule.
pub fn mutants(text: &str) -> Vec<Mutant> {
    let mut rule: Table = text.parse().unwrap();
    ["test", "test_history", "source", "license"].iter().for_each(|key| drop(rule.remove(*key)));
    let mut found = Vec::new();
    for key in ["condition", "model", "sum"] {
        let Some(Value::Table(part)) = rule.get(key) else { continue };
        for (change, part) in of_table(key, part) {
            put(&mut found, &rule, change, key, Some(Value::Table(part)));
        }
    }
    let clauses = rule.get("prevalence").and_then(Value::as_array).cloned().unwrap_or_default();
    for (at, clause) in clauses.iter().enumerate() {
        let Value::Table(clause) = clause else { continue };
        // What a group does is no matter of one alert: tests/cases has it.
        if clause.get("then").and_then(Value::as_str) != Some("score") {
            continue;
        }
        let mut less = clauses.clone();
        less.remove(at);
        put(&mut found, &rule, format!("drop prevalence[{at}]"), "prevalence", Some(Value::Array(less)));
        for key in ["at_least", "within_days", "score"] {
            for (change, value) in of_value(&format!("prevalence[{at}].{key}"), key, &clause[key]) {
                let mut clauses = clauses.clone();
                clauses[at][key] = value;
                put(&mut found, &rule, change, "prevalence", Some(Value::Array(clauses)));
            }
        }
    }
    let number = |key: &str| rule.get(key).and_then(Value::as_integer);
    if let Some(score) = number("score") {
        put(&mut found, &rule, "score + 1".into(), "score", Some(Value::Integer(score + 1)));
    }
    if rule.contains_key("per") {
        put(&mut found, &rule, "drop per".into(), "per", None);
    }
    for (key, one, other) in [("period", "day", "month"), ("entity", "user", "host")] {
        let is_one = rule.get(key).and_then(Value::as_str) == Some(one);
        let swapped = if is_one { other } else { one };
        put(&mut found, &rule, format!("{key} = {swapped}"), key, Some(Value::String(swapped.into())));
    }
    found
}

/// Every mutant of a model.
pub fn model_mutants(text: &str) -> Vec<Mutant> {
    let model: Table = text.parse().unwrap();
    let mut found = Vec::new();
    // A revision says when to learn anew; no event is judged by it.
    for (key, value) in model.iter().filter(|(key, _)| *key != "revision") {
        for (change, value) in of_value(key, key, value) {
            put(&mut found, &model, change, key, Some(value));
        }
    }
    if model.contains_key("once_per") {
        put(&mut found, &model, "drop once_per".into(), "once_per", None);
    }
    for scope in ["user", "host", "peer_group", "org"] {
        if model.get("scope").and_then(Value::as_str) != Some(scope) {
            put(&mut found, &model, format!("scope = {scope}"), "scope", Some(Value::String(scope.into())));
        }
    }
    found
}

fn put(found: &mut Vec<Mutant>, rule: &Table, change: String, key: &str, value: Option<Value>) {
    let mut rule = rule.clone();
    match value {
        Some(value) => drop(rule.insert(key.into(), value)),
        None => drop(rule.remove(key)),
    }
    found.push(Mutant { change, text: rule.to_string() });
}

/// Changes of a table: of each of its keys, and of what is below.
fn of_table(path: &str, table: &Table) -> Vec<(String, Table)> {
    let mut found = Vec::new();
    for (key, value) in table {
        let place = format!("{path}.{key}");
        if table.len() > 1 {
            let mut less = table.clone();
            less.remove(key);
            found.push((format!("drop {place}"), less));
        }
        for (_, other) in MISTAKEN.iter().filter(|(op, other)| op == key && !table.contains_key(*other)) {
            let one_of_one = matches!(value, Value::Array(items) if items.len() < 2);
            if (*other == "any" || *other == "all") && one_of_one {
                continue;
            }
            let mut changed = table.clone();
            changed.remove(key);
            changed.insert((*other).into(), value.clone());
            found.push((format!("{place} becomes {other}"), changed));
        }
        for (change, value) in of_value(&place, key, value) {
            let mut changed = table.clone();
            changed.insert(key.clone(), value);
            found.push((change, changed));
        }
    }
    found
}

fn of_value(place: &str, key: &str, value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Table(table) => of_table(place, table).into_iter().map(|(c, t)| (c, Value::Table(t))).collect(),
        Value::Array(items) => of_array(place, key, items),
        Value::Boolean(b) => vec![(format!("{place} = {}", !b), Value::Boolean(!b))],
        Value::Integer(n) => [n - 1, n + 1].map(|m| (format!("{place} = {m}"), Value::Integer(m))).into(),
        Value::Float(x) => [x * 0.5, x * 2.0].map(|y| (format!("{place} = {y}"), Value::Float(y))).into(),
        // A bare text is "equals".
        Value::String(_) if is_field(key) => {
            let loose = Table::from_iter([("contains".to_owned(), value.clone())]);
            vec![(format!("{place} becomes contains"), Value::Table(loose))]
        }
        _ => Vec::new(),
    }
}

fn of_array(place: &str, key: &str, items: &[Value]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        if items.len() > 1 {
            let mut less = items.to_vec();
            less.remove(at);
            let shown = item.as_str().map(|s| format!(" {s:?}")).unwrap_or_default();
            found.push((format!("drop {place}[{at}]{shown}"), Value::Array(less)));
        }
        if let Value::Table(table) = item {
            for (change, table) in of_table(&format!("{place}[{at}]"), table) {
                let mut changed = items.to_vec();
                changed[at] = Value::Table(table);
                found.push((change, Value::Array(changed)));
            }
        }
    }
    if is_field(key) && items.iter().all(Value::is_str) {
        let loose = Table::from_iter([("contains".to_owned(), Value::Array(items.to_vec()))]);
        found.push((format!("{place} becomes contains"), Value::Table(loose)));
    }
    if key == "sequence" {
        let turned: Vec<Value> = items.iter().rev().cloned().collect();
        found.push((format!("{place} reversed"), Value::Array(turned)));
    }
    found
}

/// Keys whose bare text means that a text equals it.
fn is_field(key: &str) -> bool {
    let operators = ["token", "arg", "arg_first", "arg_last", "first_operand", "after"];
    crate::event::Field::resolve(key).is_some() || operators.contains(&key)
}

#[test]
fn leaves_alternatives_operators_and_numbers_are_changed() {
    let rule = "score = 3\nentity = 'host'\n[condition]\nimage = ['a', 'b']\n[[condition.any]]\ntoken = { starts_with = 'x', case = true }\n\
                [[condition.any]]\nis_temp = true\n[sum]\nreaches = 7\n[[test]]\nname = 'n'\n";
    let changes: Vec<String> = mutants(rule).into_iter().map(|m| m.change).collect();
    assert_eq!(
        changes,
        [
            "drop condition.any",
            "condition.any becomes all",
            "drop condition.any[0]",
            "drop condition.any[0].token.case",
            "condition.any[0].token.case = false",
            "drop condition.any[0].token.starts_with",
            "condition.any[0].token.starts_with becomes contains",
            "condition.any[0].token.starts_with becomes equals",
            "drop condition.any[1]",
            "condition.any[1].is_temp = false",
            "drop condition.image",
            "drop condition.image[0] \"a\"",
            "drop condition.image[1] \"b\"",
            "condition.image becomes contains",
            "sum.reaches = 6",
            "sum.reaches = 8",
            "score + 1",
            "period = day",
            "entity = user",
        ]
    );
    assert!(mutants(rule).iter().all(|m| !m.text.contains("name")));
}
