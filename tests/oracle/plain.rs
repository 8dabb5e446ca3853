//! The plain judge: what the rules of content say, over plain lists and maps, with nothing kept that could be counted again.
//!
//! Written from the description of the models, verdicts and bounds, not from the code. It is slow: each question goes over
//! all that was ever trained.

use super::scene::{Action, Common, Event, MODELS, Model, RULES, Rule, Says, Then, Who};
use super::{Numbers, Told};
use std::collections::{BTreeMap, BTreeSet};

/// Days, numbered.
type Day = i32;

/// One training: the value, its day, its time.
#[derive(Clone, Debug)]
struct Trained {
    value: String,
    day: Day,
    time_ms: i64,
}

/// A histogram: all that was trained and is still there.
#[derive(Clone, Debug, Default)]
struct Histogram {
    trained: Vec<Trained>,
    saturated: bool,
}

/// An entity: its kind and its key. The agent's key is empty.
type Entity = (&'static str, String);

/// What has fired: rule, whether it is the first of a group of what is common (its entity is the value then), entity, value; by
/// the first day of its period.
type Fired = (&'static str, bool, String, String);

/// Alerts held back: the day, the rule, whether they are of a group, the entity.
type HeldBack = (Day, &'static str, bool, String);

#[derive(Debug)]
pub struct Plain {
    numbers: Numbers,
    latest: BTreeMap<Entity, Day>,
    department: BTreeMap<String, String>,
    /// Days with events, by entity and event type.
    days: BTreeSet<(Entity, &'static str, Day)>,
    /// Days on which a user met a domain.
    domain_days: BTreeSet<(String, String, Day)>,
    histograms: BTreeMap<(&'static str, String), Histogram>,
    /// Model, user, day, value, what makes it unique.
    once: BTreeSet<(&'static str, String, Day, String, String)>,
    sums: BTreeMap<(&'static str, String, Day, String), u64>,
    pub guards: BTreeMap<(Day, Fired), u64>,
    /// How many alerts were held back, and how many of them were told.
    held_back: BTreeMap<HeldBack, (u64, u64)>,
    newest: Option<Day>,
    pub late: u64,
    pub future: u64,
    pub guards_dropped: u64,
    pub instances_dropped: u64,
}

impl Plain {
    pub fn new(numbers: Numbers) -> Plain {
        Plain {
            numbers,
            latest: BTreeMap::new(),
            department: BTreeMap::new(),
            days: BTreeSet::new(),
            domain_days: BTreeSet::new(),
            histograms: BTreeMap::new(),
            once: BTreeSet::new(),
            sums: BTreeMap::new(),
            guards: BTreeMap::new(),
            held_back: BTreeMap::new(),
            newest: None,
            late: 0,
            future: 0,
            guards_dropped: 0,
            instances_dropped: 0,
        }
    }

    /// Judges an event, then learns from it. `today` is the collector's day.
    pub fn event(&mut self, event: &Event, today: Day) -> Vec<Told> {
        let mut told = Vec::new();
        let day = event.day;
        let (user, host) = (event.user_key(), event.host_key());
        if let (Some(user), Some(department)) = (&user, event.department) {
            self.department.insert(user.clone(), department.to_lowercase());
        }
        let future = day > today + self.numbers.future_days;
        let (mut user_stale, mut host_stale) = (future, future);
        if future {
            self.future += 1;
        } else {
            user_stale = user.as_ref().is_some_and(|user| self.arrives_late(("user", user.clone()), day));
            host_stale = host.as_ref().is_some_and(|host| self.arrives_late(("host", host.clone()), day));
            self.late += u64::from(user_stale || host_stale);
            if !user_stale && !host_stale && self.newest.is_none_or(|newest| day > newest) {
                self.newest = Some(day);
                self.close_days(day, &mut told);
            }
        }
        for rule in RULES {
            let Some(value) = rule.holds(event) else { continue };
            let (entity, stale) = match rule.who {
                Who::User => (&user, user_stale),
                Who::Host => (&host, host_stale),
            };
            let Some(entity) = entity.clone() else { continue };
            self.judge(rule, event, &entity, value, stale, &mut told);
        }
        if !future {
            self.learn(event, user, user_stale, host, host_stale);
        }
        told
    }

    /// Each entity's latest event day never goes back; an event moves it before it is judged.
    fn arrives_late(&mut self, entity: Entity, day: Day) -> bool {
        let latest = self.latest.entry(entity).or_insert(day);
        if day < *latest - self.numbers.late_days {
            return true;
        }
        *latest = day.max(*latest);
        false
    }

    /// A new newest day: periods that take nothing more are summed up, then guards beyond the window leave. What a late event
    /// added since the last summary is told in one of its own.
    fn close_days(&mut self, newest: Day, told: &mut Vec<Told>) {
        let open_from = newest - self.numbers.late_days;
        for ((day, rule, grouped, entity), (count, already)) in &mut self.held_back {
            let rule = RULES.iter().find(|r| r.id == *rule).unwrap();
            let days = rule.common.iter().find(|c| matches!(c.then, Then::Group)).map_or(0, |c| c.within_days);
            let stays = if *grouped { days } else { 0 };
            if *day < rule.period(open_from) - stays && count > already {
                told.push(Told::summary(rule, entity, *day, *count - *already));
                *already = *count;
            }
        }
        let gone = newest - self.numbers.window_days;
        self.guards.retain(|(day, _), _| *day > gone);
        self.let_go(|(day, ..)| *day <= gone, told);
    }

    /// Numbers that leave are told first.
    fn let_go(&mut self, leaves: impl Fn(&HeldBack) -> bool, told: &mut Vec<Told>) {
        for ((day, rule, _, entity), (count, already)) in self.held_back.iter().filter(|(at, _)| leaves(at)) {
            if count > already {
                let rule = RULES.iter().find(|r| r.id == *rule).unwrap();
                told.push(Told::summary(rule, entity, *day, count - already));
            }
        }
        self.held_back.retain(|at, _| !leaves(at));
    }

    fn judge(
        &mut self,
        rule: &'static Rule,
        event: &Event,
        entity: &str,
        value: String,
        stale: bool,
        told: &mut Vec<Told>,
    ) {
        let day = event.day;
        let mut alert = Told::alert(rule, entity, &value, day);
        match &rule.says {
            Says::Always => {}
            _ if stale => return,
            Says::Sum { reaches, without_history } => {
                let Some(amount) = event.uploaded() else { return };
                let sum = self.sums.entry((rule.id, entity.to_owned(), day, value.clone())).or_default();
                *sum += amount;
                let sum = *sum;
                if let Some(per_value) = without_history {
                    let earlier = self.earlier_than(day);
                    let own = if *per_value {
                        self.domain_days
                            .iter()
                            .filter(|(user, domain, d)| user == entity && *domain == value && earlier(*d))
                            .count()
                    } else {
                        self.history(&(rule.who.name(), entity.to_owned()), "web", day)
                    };
                    let agent = self.history(&("agent", String::new()), "web", day);
                    if own > 0 || agent < self.numbers.agent_days {
                        return;
                    }
                }
                if sum < *reaches {
                    return;
                }
                alert.sum = Some(sum);
            }
            Says::First { model } | Says::Abnormal { model } | Says::Top { model } => {
                match self.ask(model, &rule.says, event) {
                    Some(numbers) => alert.model = Some(numbers),
                    None => return,
                }
            }
        }
        let period = rule.period(day);
        let guard = (period, (rule.id, false, entity.to_owned(), value.clone()));
        let common = rule.common.iter().filter(|common| !stale && self.is_common(common, event, &guard.1));
        let (groups, scores): (Vec<&Common>, Vec<&Common>) =
            common.partition(|common| matches!(common.then, Then::Group));
        if let Some(repeats) = self.guards.get_mut(&guard) {
            *repeats += 1;
            return;
        }
        // Never the first of a kind: a day has so many of a rule and entity before the rest is held back.
        let same = |(p, (r, _, e, _)): &&(Day, Fired)| *p == period && *r == rule.id && e == entity;
        let before = self.guards.keys().filter(same).count();
        self.guards.insert(guard, 0);
        alert.held_back = before >= self.numbers.max_alerts_per_day;
        if alert.held_back {
            self.held_back.entry((period, rule.id, false, entity.to_owned())).or_default().0 += 1;
        } else {
            let group = |day| (day, (rule.id, true, value.clone(), String::new()));
            let begun = groups.first().map(|common| {
                (0..common.within_days).map(|ago| period - ago).find(|d| self.guards.contains_key(&group(*d)))
            });
            match begun {
                Some(Some(first)) => {
                    alert.held_back = true;
                    *self.guards.entry(group(first)).or_default() += 1;
                    self.held_back.entry((first, rule.id, true, value.clone())).or_default().0 += 1;
                }
                Some(None) => drop(self.guards.insert(group(period), 0)),
                None => {}
            }
            if let (false, Some(Then::Score(score))) = (alert.held_back, scores.first().map(|common| common.then)) {
                alert.score = score;
            }
        }
        told.push(alert);
        // The oldest leave first.
        while self.guards.len() > self.numbers.max_guards {
            self.guards.pop_first();
            self.guards_dropped += 1;
        }
        while self.held_back.len() > self.numbers.max_guards {
            let oldest = self.held_back.keys().next().cloned().unwrap();
            self.let_go(|at| *at == oldest, told);
        }
    }

    /// Whether a model has counted the event's value often enough lately, without the event itself, or the rule fired about it.
    fn is_common(&self, common: &Common, event: &Event, fired: &Fired) -> bool {
        let Some(model) = common.model else {
            let days = (event.day - common.within_days + 1)..event.day;
            return days.filter(|day| self.guards.contains_key(&(*day, fired.clone()))).count() as u64
                >= common.at_least;
        };
        let model = MODELS.iter().find(|m| m.id == model).unwrap();
        let (Some(scope), Some(value)) = (self.scope(model, event), model.value(event)) else { return false };
        let Some(histogram) = self.histograms.get(&(model.id, scope.1)) else { return false };
        let lately = |t: &&Trained| t.value == value && t.day <= event.day && t.day > event.day - common.within_days;
        histogram.trained.iter().filter(lately).count() as u64 >= common.at_least
    }

    /// Asks a model as it was before the event. The numbers, when it says what the rule wants.
    fn ask(&self, model: &str, says: &Says, event: &Event) -> Option<[u64; 4]> {
        let model = MODELS.iter().find(|m| m.id == model)?;
        let day = event.day;
        let scope = self.scope(model, event)?;
        let value = model.value(event)?;
        let owner = event.user_key()?;
        // A value is judged at its first occurrence in a sequence.
        let met = self.once.iter().any(|(m, o, d, v, _)| *m == model.id && *o == owner && *d == day && *v == value);
        let empty = Histogram::default();
        let histogram = self.histograms.get(&(model.id, scope.1.clone())).unwrap_or(&empty);
        let counted = histogram.trained.iter().any(|t| t.value == value && t.day == day);
        // In a user's own histogram the trainings themselves say it, and a bin that left took them along.
        if if model.unique_by_domain { met } else { counted } {
            return None;
        }
        let counts = histogram.counts(Day::MIN);
        let n: u64 = counts.values().sum();
        let c = counts.len() as u64;
        let confidence = if n == 0 { 0.0 } else { ((n - c) as f64 / n as f64).powf(model.alpha) };
        let converged = n >= model.cut_off && confidence >= self.numbers.min_confidence;
        let history = self.history(&scope, model.event, day);
        let count = counts.get(&value).copied().unwrap_or(0);
        match says {
            Says::First { .. } => {
                let mature =
                    (converged && history >= self.numbers.min_history_days) || history >= self.numbers.maturity_days;
                (count == 0 && !histogram.saturated && mature).then_some([n, c, count, history as u64])
            }
            Says::Abnormal { .. } => {
                let mut ascending: Vec<u64> = counts.values().copied().collect();
                ascending.sort_unstable();
                let limit = self.numbers.percentile * n as f64;
                let mut sum = 0;
                let threshold = ascending.iter().copied().find(|count| {
                    sum += count;
                    sum as f64 > limit
                });
                let equal = ascending.first() == ascending.last();
                let rare = !equal && count > 0 && threshold.is_some_and(|t| count < t);
                (converged && rare).then_some([n, c, count, history as u64])
            }
            Says::Top { .. } => {
                let latest = histogram.trained.iter().map(|t| t.day).max()?;
                let counts = histogram.counts(latest - self.numbers.rank_days + 1);
                let count = counts.get(&value).copied().unwrap_or(0);
                let c = counts.len() as u64;
                let rank = 1 + counts.values().filter(|other| **other > count).count() as u64;
                let best = ((self.numbers.top_share * c as f64).ceil() as u64).max(1);
                let top = c >= self.numbers.min_bins
                    && count >= self.numbers.min_count
                    && count as f64 >= self.numbers.min_median_ratio * median(&counts)
                    && rank <= best;
                (converged && top).then_some([n, c, count, history as u64])
            }
            _ => None,
        }
    }

    fn learn(&mut self, event: &Event, user: Option<String>, user_stale: bool, host: Option<String>, host_stale: bool) {
        let day = event.day;
        for model in MODELS {
            let (Some(scope), Some(value), Some(owner)) = (self.scope(model, event), model.trains_on(event), &user)
            else {
                continue;
            };
            if user_stale {
                continue;
            }
            if let Some(other) = model.new_to {
                let counted = self.histograms.get(&(other, owner.clone()));
                if counted.is_some_and(|h| h.trained.iter().any(|t| t.value == value)) {
                    continue;
                }
            }
            let unique = if model.unique_by_domain { event.domain().unwrap_or_default() } else { String::new() };
            if model.scope != "user" {
                if !self.once.insert((model.id, owner.clone(), day, value.clone(), unique)) {
                    continue;
                }
            } else if let Some(h) = self.histograms.get(&(model.id, scope.1.clone()))
                && h.trained.iter().any(|t| t.value == value && t.day == day)
            {
                continue;
            }
            let max_bins = if model.wide { self.numbers.max_bins_wide } else { self.numbers.max_bins };
            let histogram = self.histograms.entry((model.id, scope.1)).or_default();
            histogram.train(Trained { value, day, time_ms: event.time_ms }, self.numbers.window_days, max_bins);
            self.bound_instances(model);
        }
        if let Some(user) = user.clone().filter(|_| !user_stale) {
            if let Some(department) = self.department.get(&user) {
                self.days.insert((("group", department.clone()), event.kind(), day));
            }
            if let Some(domain) = event.domain() {
                self.domain_days.insert((user.clone(), domain, day));
            }
            self.days.insert((("user", user), event.kind(), day));
        }
        if let Some(host) = host.clone().filter(|_| !host_stale) {
            self.days.insert((("host", host), event.kind(), day));
        }
        let counts_for_agent = match (&user, &host) {
            (Some(_), _) => !user_stale,
            (None, Some(_)) => !host_stale,
            (None, None) => false,
        };
        if counts_for_agent {
            self.days.insert((("agent", String::new()), event.kind(), day));
        }
    }

    /// The instance with the fewest history days leaves, of equals the one trained longest ago.
    fn bound_instances(&mut self, model: &Model) {
        let of_model = |id: &&(&str, String)| id.0 == model.id;
        while self.histograms.keys().filter(of_model).count() > self.numbers.max_instances {
            let rank = |(_, scope): &&(&'static str, String)| {
                let histogram = self.histograms.get(&(model.id, scope.clone()));
                let trained = histogram.and_then(|h| h.trained.iter().map(|t| t.time_ms).max());
                let entity = (model.scope, scope.clone());
                let newest = self.days.iter().filter(|(e, k, _)| *e == entity && *k == model.event).map(|d| d.2).max();
                let days = newest.map_or(0, |newest| {
                    let from = newest - self.numbers.window_days;
                    self.days.iter().filter(|(e, k, d)| *e == entity && *k == model.event && *d > from).count()
                });
                (days, trained, scope.clone())
            };
            let Some(least) = self.histograms.keys().filter(of_model).min_by_key(rank).cloned() else { return };
            self.histograms.remove(&least);
            self.instances_dropped += 1;
        }
    }

    /// The entity whose instance an event belongs to.
    fn scope(&self, model: &Model, event: &Event) -> Option<Entity> {
        let user = event.user_key()?;
        match model.scope {
            "user" => Some(("user", user)),
            "group" => Some(("group", self.department.get(&user)?.clone())),
            _ => Some(("agent", String::new())),
        }
    }

    /// Distinct days before `day`, in the window that ends with it, with an event of the type.
    fn history(&self, entity: &Entity, kind: &str, day: Day) -> usize {
        let earlier = self.earlier_than(day);
        let of_entity = || self.days.iter().filter(|(e, k, _)| e == entity && *k == kind).map(|d| d.2);
        // A user's backlog may be older than what is kept of all users together: nothing is known of those days any more.
        let kept = of_entity().max().map_or(day, |newest| newest - self.numbers.window_days - self.numbers.late_days);
        of_entity().filter(|d| earlier(*d) && *d > kept).count()
    }

    fn earlier_than(&self, day: Day) -> impl Fn(Day) -> bool + use<> {
        let window = self.numbers.window_days;
        move |d| d < day && d > day - window
    }
}

impl Histogram {
    /// Counts by value from a day on.
    fn counts(&self, from: Day) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for trained in self.trained.iter().filter(|t| t.day >= from) {
            *counts.entry(trained.value.clone()).or_default() += 1;
        }
        counts
    }

    fn train(&mut self, new: Trained, window_days: Day, max_bins: usize) {
        let latest = self.trained.iter().map(|t| t.day).max();
        if latest.is_some_and(|latest| new.day <= latest - window_days) {
            return;
        }
        let latest = latest.map_or(new.day, |l| l.max(new.day));
        self.trained.retain(|t| t.day > latest - window_days);
        let counts = self.counts(Day::MIN);
        if !counts.contains_key(&new.value) && counts.len() >= max_bins {
            let last = |value: &&String| {
                let times = self.trained.iter().filter(|t| t.value == **value).map(|t| t.time_ms);
                (times.max(), (*value).clone())
            };
            if let Some(oldest) = counts.keys().min_by_key(last) {
                self.trained.retain(|t| t.value != *oldest);
            }
            self.saturated = true;
        }
        self.trained.push(new);
    }
}

fn median(counts: &BTreeMap<String, u64>) -> f64 {
    let mut counts: Vec<u64> = counts.values().copied().collect();
    counts.sort_unstable();
    match counts.len() {
        0 => 0.0,
        n if n % 2 == 1 => counts[n / 2] as f64,
        n => (counts[n / 2 - 1] + counts[n / 2]) as f64 / 2.0,
    }
}

impl Event {
    fn uploaded(&self) -> Option<u64> {
        match &self.action {
            Action::Web { bytes, method, .. } if !["GET", "HEAD"].contains(method) => bytes.filter(|b| *b > 0),
            _ => None,
        }
    }
}
