//! What happens in the oracle's scene: a few users, hosts, programs and domains, the rules and models over them, and how an
//! event is written as a line.

use exfil_agent::calendar::{first_of_month, format_day};
use proptest::prelude::*;

/// Where the scene begins: the last days of a month, so that months end in it.
pub const FIRST_DAY: i32 = 20_740;

/// What somebody did.
#[derive(Clone, Debug)]
pub enum Action {
    /// A program in a temporary directory wrote a file; to a stick when `usb`.
    TempWrite { program: u8, usb: bool },
    /// An installed program wrote a file.
    Write,
    /// A program was started.
    Process { program: &'static str },
    /// A page was opened.
    Web { domain: &'static str, method: &'static str, bytes: Option<u64> },
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    pub day: i32,
    pub time_ms: i64,
    pub user: Option<&'static str>,
    pub host: Option<&'static str>,
    pub department: Option<&'static str>,
    pub action: Action,
}

impl Event {
    pub fn user_key(&self) -> Option<String> {
        self.user.map(|u| format!("corp\\{u}"))
    }

    pub fn host_key(&self) -> Option<String> {
        self.host.map(str::to_owned)
    }

    /// The event type under which history counts.
    pub fn kind(&self) -> &'static str {
        match self.action {
            Action::TempWrite { .. } | Action::Write => "write",
            Action::Process { .. } => "process",
            Action::Web { .. } => "web",
        }
    }

    pub fn domain(&self) -> Option<String> {
        match self.action {
            Action::Web { domain, .. } => Some(domain.to_owned()),
            _ => None,
        }
    }

    fn shares_files(&self) -> bool {
        matches!(self.action, Action::Web { domain, .. } if SHARING.contains(&domain))
    }

    /// The line that the agent reads.
    pub fn line(&self) -> String {
        let (header, rest) = match &self.action {
            Action::TempWrite { program, usb } => {
                let target =
                    if *usb { r#" Destination_File_Name=a.txt Destination_File_Details={"Drive":"USB"}"# } else { "" };
                let process = format!(r"Process_Name=p{program}.exe Process_Directory=C:\Windows\Temp{target}");
                (r"FileCopied|C:\d\a.txt".to_owned(), process)
            }
            Action::Write => (
                r"FileCreated|C:\d\a.txt".to_owned(),
                r"Process_Name=word.exe Process_Directory=C:\Programs\Word".to_owned(),
            ),
            Action::Process { program } => {
                (format!(r"ProcessCreated|Running C:\d\{program}.exe"), format!("reason={program}.exe -x a=b"))
            }
            Action::Web { domain, method, bytes } => {
                let bytes = bytes.map(|b| format!(" out={b}")).unwrap_or_default();
                let rest = format!("Website_Query=https://www.{domain}/x requestMethod={method}{bytes}");
                ("NetworkActivity|WebPageAccessed".to_owned(), rest)
            }
        };
        let who = |key: &str, name: Option<&str>| name.map(|n| format!(r"{key}=CORP\{n} ")).unwrap_or_default();
        let department = self.department.map(|d| format!("User_Department={d} ")).unwrap_or_default();
        format!(
            "CEF:0|Dtex|P|1|{header}|3|start={} {}{}{department}{rest}\n",
            self.time_ms,
            who("Device_Name", self.host),
            who("User_Name", self.user),
        )
    }
}

const USERS: &[&str] = &["ann", "bob", "cid", "dan", "eve", "fay"];
const HOSTS: &[&str] = &["ws1", "ws2", "ws3"];
const DEPARTMENTS: &[&str] = &["Sales", "IT"];
const SHARING: &[&str] = &["dropbox.com", "gofile.io", "wetransfer.com"];
const OTHERS: &[&str] = &["example.com", "example.org"];

/// A random event and how many days later than the one before it is found, on which day of the calendar it happened
/// (from there), and what the agent goes through after it.
pub fn step() -> impl Strategy<Value = Step> {
    let later = prop_oneof![12 => Just(0), 6 => Just(1), 2 => Just(2), 1 => 3..15];
    let dated = prop_oneof![14 => Just(0), 3 => -2..0, 2 => -7..-2, 1 => Just(1), 1 => 2..4];
    let action = prop_oneof![
        4 => (0u8..5, prop::bool::weighted(0.1)).prop_map(|(program, usb)| Action::TempWrite { program, usb }),
        2 => (0u8..24).prop_map(|program| Action::TempWrite { program, usb: false }),
        1 => Just(Action::Write),
        2 => prop::sample::select(vec!["socat", "plink", "stunnel", "notepad"]).prop_map(|program| Action::Process { program }),
        5 => (
            prop::sample::select([SHARING, OTHERS].concat()),
            prop::sample::select(vec!["POST", "POST", "GET", "CONNECT"]),
            prop::option::weighted(0.7, 0..60_u64),
        )
            .prop_map(|(domain, method, bytes)| Action::Web { domain, method, bytes }),
    ];
    let after = prop_oneof![10 => Just(After::Nothing), 2 => Just(After::Commit), 3 => Just(After::PageOut), 1 => Just(After::Restart)];
    let who = (
        prop::option::weighted(0.9, prop_oneof![2 => Just("ann"), 3 => prop::sample::select(USERS)]),
        prop::option::weighted(0.9, prop::sample::select(HOSTS)),
        prop::option::weighted(0.3, prop::sample::select(DEPARTMENTS)),
    );
    (later, dated, action, who, after).prop_map(|(later, dated, action, (user, host, department), after)| Step {
        later,
        dated,
        action,
        user,
        host,
        department,
        after,
    })
}

/// The same where there is nothing but programs that come to one user after the other: what is common is rare in [`step`].
pub fn roll_out_step() -> impl Strategy<Value = Step> {
    let program = prop_oneof![3 => 0u8..6, 1 => 0u8..24];
    let later = prop_oneof![10 => Just(0), 3 => Just(1), 1 => Just(2)];
    let dated = prop_oneof![12 => Just(0), 1 => -3..0];
    (step(), program, later, dated, prop::sample::select(USERS)).prop_map(|(step, program, later, dated, user)| Step {
        later,
        dated,
        user: Some(user),
        action: Action::TempWrite { program, usb: false },
        ..step
    })
}

/// See [`step`].
#[derive(Clone)]
pub struct Step {
    pub later: i32,
    pub dated: i32,
    pub action: Action,
    pub user: Option<&'static str>,
    pub host: Option<&'static str>,
    pub department: Option<&'static str>,
    pub after: After,
}

/// A line each: a story that fails is read by somebody.
impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Step { later, dated, action, user, host, department, after } = self;
        write!(f, "+{later} {dated:+} {user:?} {host:?} {department:?} {action:?} {after:?}")
    }
}

/// What the agent goes through after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Nothing,
    /// What changed is committed.
    Commit,
    /// And what was learned about users and hosts leaves memory.
    PageOut,
    /// Or the agent is started again from what is committed.
    Restart,
}

/// Whose sequence a rule scores.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    User,
    Host,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Who::User => "user",
            Who::Host => "host",
        }
    }
}

/// What a rule asks of the state.
#[derive(Clone, Debug)]
pub enum Says {
    Always,
    First {
        model: &'static str,
    },
    Abnormal {
        model: &'static str,
    },
    Top {
        model: &'static str,
    },
    /// `without_history`: none at all, or (`true`) none of the value.
    Sum {
        reaches: u64,
        without_history: Option<bool>,
    },
}

pub struct Rule {
    pub id: &'static str,
    pub who: Who,
    pub says: Says,
    pub monthly: bool,
    /// What is common for it: the first that applies.
    pub common: &'static [Common],
    /// The value that the rule is "per" (empty for none), where its condition holds.
    when: fn(&Event) -> Option<String>,
}

/// What is common by the counts of a model: so often, within so many days.
#[derive(Clone, Copy, Debug)]
pub struct Common {
    /// Else the rule's own alerts are counted.
    pub model: Option<&'static str>,
    pub at_least: u64,
    pub within_days: i32,
    pub then: Then,
}

/// What becomes of the alert.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// Others within so many days are held back.
    Group,
    /// Its score is this.
    Score(u32),
}

impl Rule {
    pub fn holds(&self, event: &Event) -> Option<String> {
        (self.when)(event)
    }

    /// The first day of the period in which the rule fires once.
    pub fn period(&self, day: i32) -> i32 {
        if self.monthly { first_of_month(day) } else { day }
    }

    pub fn label(&self, day: i32) -> String {
        let day = format_day(day);
        if self.monthly { day[..7].to_owned() } else { day }
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

fn temp_program(event: &Event) -> Option<String> {
    match event.action {
        Action::TempWrite { program, .. } => Some(format!(r"c:\windows\temp\p{program}.exe")),
        _ => None,
    }
}

fn web(event: &Event) -> Option<String> {
    matches!(event.action, Action::Web { .. }).then(String::new)
}

fn sharing(event: &Event) -> Option<String> {
    event.shares_files().then(String::new)
}

pub const RULES: &[Rule] = &[
    Rule {
        id: "O-ABNORMAL",
        who: Who::User,
        says: Says::Abnormal { model: "FA-UP-TEMP" },
        monthly: false,
        common: &[
            Common { model: Some("FA-ORG-NEW"), at_least: 2, within_days: 3, then: Then::Score(2) },
            Common { model: Some("FA-ORG-NEW"), at_least: 1, within_days: 5, then: Then::Score(1) },
            Common { model: None, at_least: 2, within_days: 7, then: Then::Score(4) },
        ],
        when: temp_program,
    },
    Rule {
        id: "O-DOMAIN",
        who: Who::User,
        says: Says::Sum { reaches: 50, without_history: Some(true) },
        monthly: false,
        common: &[],
        when: Event::domain,
    },
    Rule {
        id: "O-FIRST",
        who: Who::User,
        says: Says::First { model: "FA-UP-TEMP" },
        monthly: false,
        common: &[
            Common { model: Some("FA-ORG-NEW"), at_least: 1, within_days: 5, then: Then::Group },
            Common { model: Some("FA-ORG-NEW"), at_least: 1, within_days: 9, then: Then::Score(3) },
        ],
        when: temp_program,
    },
    Rule {
        id: "O-HOST",
        who: Who::Host,
        says: Says::Sum { reaches: 100, without_history: None },
        monthly: false,
        common: &[Common { model: None, at_least: 1, within_days: 4, then: Then::Score(2) }],
        when: web,
    },
    Rule {
        id: "O-NEW",
        who: Who::User,
        says: Says::Sum { reaches: 50, without_history: Some(false) },
        monthly: false,
        common: &[],
        when: web,
    },
    Rule {
        id: "O-PEER",
        who: Who::User,
        says: Says::Top { model: "WEB-OG-FS" },
        monthly: true,
        common: &[],
        when: sharing,
    },
    Rule {
        id: "O-SHARE",
        who: Who::User,
        says: Says::Always,
        monthly: false,
        common: &[],
        when: |event| event.domain().filter(|_| event.shares_files()),
    },
    Rule {
        id: "O-TOP",
        who: Who::User,
        says: Says::Top { model: "WEB-OU-FS" },
        monthly: true,
        common: &[],
        when: sharing,
    },
    Rule {
        id: "O-TUNNEL",
        who: Who::Host,
        says: Says::Always,
        monthly: false,
        common: &[],
        when: |event| match event.action {
            Action::Process { program } if program != "notepad" => Some(program.to_owned()),
            _ => None,
        },
    },
];

#[derive(Debug)]
pub struct Model {
    pub id: &'static str,
    pub scope: &'static str,
    pub event: &'static str,
    /// A value counts once a user, day and domain; else once a user and day.
    pub unique_by_domain: bool,
    pub wide: bool,
    pub alpha: f64,
    pub cut_off: u64,
    /// It counts the programs of users, not the users.
    pub programs: bool,
    /// It counts what this model has not counted yet.
    pub new_to: Option<&'static str>,
}

impl Model {
    /// The feature's value.
    pub fn value(&self, event: &Event) -> Option<String> {
        if self.programs { temp_program(event) } else { event.user_key() }
    }

    /// The same where the event trains the model.
    pub fn trains_on(&self, event: &Event) -> Option<String> {
        if self.programs { temp_program(event) } else { event.user_key().filter(|_| event.shares_files()) }
    }
}

pub const MODELS: &[Model] = &[
    Model {
        id: "FA-ORG-NEW",
        scope: "agent",
        event: "write",
        unique_by_domain: false,
        wide: true,
        alpha: 0.8,
        cut_off: 6,
        programs: true,
        new_to: Some("FA-UP-TEMP"),
    },
    Model {
        id: "FA-UP-TEMP",
        scope: "user",
        event: "write",
        unique_by_domain: false,
        wide: false,
        alpha: 0.8,
        cut_off: 6,
        programs: true,
        new_to: None,
    },
    Model {
        id: "WEB-OG-FS",
        scope: "group",
        event: "web",
        unique_by_domain: true,
        wide: true,
        alpha: 0.5,
        cut_off: 4,
        programs: false,
        new_to: None,
    },
    Model {
        id: "WEB-OU-FS",
        scope: "agent",
        event: "web",
        unique_by_domain: true,
        wide: true,
        alpha: 0.8,
        cut_off: 6,
        programs: false,
        new_to: None,
    },
];
