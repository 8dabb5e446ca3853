//! The public rules that lie beside the repository, and events made of what they look for.

use exfil_agent::calendar::Zone;
use exfil_agent::config::{DetectionSettings, SigmaSettings};
use exfil_agent::content::{self, Content};
use exfil_agent::event::{EventView, Field};
use exfil_agent::extract::examine;
use std::path::Path;
use std::sync::LazyLock;

/// Loaded once: 1,400 files.
pub struct Public {
    pub content: Content,
}

pub static PUBLIC: LazyLock<Option<Public>> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/sigma/rules");
    let dir = dir.canonicalize().ok()?;
    let sigma = SigmaSettings { dirs: vec![dir], ..SigmaSettings::default() };
    let settings = DetectionSettings { sigma, ..DetectionSettings::default() };
    let content = content::load(&settings).unwrap_or_else(|f| panic!("{f}"));
    Some(Public { content })
});

/// A process that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub path: String,
    pub parent: String,
    pub line: String,
}

impl Process {
    /// The record of it.
    pub fn record(&self) -> String {
        let (dir, name) = self.path.rsplit_once('\\').unwrap_or(("C:", &self.path));
        format!(
            "CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessActivity|ProcessCreated|5|start=1780000000000 \
             Device_Name=CORP\\WS1 User_Name=CORP\\jdoe Process_Name={name} Process_Directory={dir} \
             Parent_Process_Name={} reason={}",
            self.parent, self.line
        )
    }
}

/// Looks at the event of a record.
pub fn event<T>(content: &Content, record: &str, look: impl FnOnce(EventView<'_>) -> T) -> T {
    examine(content, record.as_bytes(), None, &Zone::utc(), |examined| {
        assert!(examined.parsed.is_ok(), "{record}");
        look(examined.event)
    })
}

/// A field as text.
pub fn text(event: EventView<'_>, field: Field) -> Option<String> {
    event.get(field).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// Processes made of the values of a rule: for each, one value of every key, or all that stand together.
pub fn processes(yaml: &str) -> Vec<Process> {
    let keys = values(yaml);
    let pick = |field: &str, n: usize| -> Option<String> {
        let of: Vec<&String> =
            keys.iter().filter(|(k, _)| k.split('|').next() == Some(field)).flat_map(|(_, v)| v).collect();
        (!of.is_empty()).then(|| of[n % of.len()].clone())
    };
    let lines = |n: usize, joint: &str| -> String {
        let mut parts = Vec::new();
        for (key, values) in keys.iter().filter(|(k, _)| k.split('|').next() == Some("CommandLine")) {
            if key.contains("|all") {
                parts.extend(values.iter().cloned());
            } else {
                parts.push(values[n % values.len()].clone());
            }
        }
        parts.join(joint)
    };
    let placed = |value: Option<String>, otherwise: &str| match value {
        Some(value) if value.starts_with('\\') => format!("C:\\Dir{value}"),
        Some(value) if value.contains(":\\") && value.ends_with('\\') => format!("{value}x.exe"),
        Some(value) => value,
        None => otherwise.to_owned(),
    };
    let mut made = Vec::new();
    for n in [0, 1, 4, 5] {
        let path = placed(pick("Image", n), r"C:\Program Files\App\app.exe");
        let parent = placed(pick("ParentImage", n), r"C:\Windows\explorer.exe");
        let name = path.rsplit('\\').next().unwrap_or_default().to_owned();
        let line = match n {
            // Hidden as a shell allows it.
            4 => format!("{name} {}", lines(n, "  ").replace('e', "^e")),
            5 => lines(n, ""),
            _ => format!("{name} {}", lines(n, " ")),
        };
        let process = Process { path, parent, line };
        if !made.contains(&process) {
            made.push(process);
        }
    }
    made
}

/// Keys of the detections with their values, read line by line: enough for how public rules are written.
fn values(yaml: &str) -> Vec<(String, Vec<String>)> {
    const FIELDS: [&str; 3] = ["Image", "ParentImage", "CommandLine"];
    let mut keys: Vec<(String, Vec<String>)> = Vec::new();
    let mut open = false;
    for line in yaml.lines().skip_while(|l| !l.starts_with("detection:")) {
        let text = line.trim().trim_start_matches("- ").trim();
        match text.split_once(':') {
            Some((key, value)) if FIELDS.contains(&key.split('|').next().unwrap_or_default()) => {
                keys.push((key.to_owned(), Vec::new()));
                open = true;
                if !value.trim().is_empty() {
                    keys.last_mut().unwrap().1.push(plain(value));
                }
            }
            _ if open && line.trim().starts_with("- ") => keys.last_mut().unwrap().1.push(plain(text)),
            _ => open = false,
        }
    }
    keys.retain(|(_, values)| !values.is_empty());
    keys
}

/// A value without quotes, comment and escapes, wildcards filled in.
fn plain(value: &str) -> String {
    let value = value.trim();
    let value = match value.strip_prefix('\'') {
        Some(rest) => rest.rsplit_once('\'').map_or(rest, |(v, _)| v).replace("''", "'"),
        None => value.split(" #").next().unwrap_or_default().trim_matches('"').to_owned(),
    };
    value.replace("\\\\", "\\").replace(['*', '?'], "x")
}
