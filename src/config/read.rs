//! Settings from TOML: every fault of the file at once, with its line and what to write instead.
//!
//! Reading never opens what a setting names and never falls back to a default for a value that is wrong.
//! An empty text stands for "none" where a path is optional.

use super::check::{Place, overlaps, written};
use super::target::{MAX_SOCKET_PATH, SyslogTarget};
use super::{
    AlertFormat, ControlSettings, DetectionSettings, FACILITIES, FileSinkSettings, FormatSetting, FsyncSetting, Limits,
    MetricsSettings, OnFault, SIGMA_LEVELS, SIGMA_STATUSES, Settings, SigmaSettings, SpoolSettings, StateSettings,
    SyslogSinkSettings,
};
use crate::calendar::Zone;
use crate::content::fault::{Faults, suggest};
use crate::content::section::{Document, Section};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Reads the config file.
///
/// # Errors
/// All faults of the file, or the one that it cannot be read.
pub fn load(path: &Path) -> Result<Settings, Faults> {
    let (settings, faults) = load_partly(path);
    faults.check(settings)
}

/// Reads the config file as far as it can be read, for whoever looks for more faults in what it names.
pub fn load_partly(path: &Path) -> (Settings, Faults) {
    let (settings, faults) = read_partly(path);
    (settings.unwrap_or_default(), faults)
}

/// The same, with what keeps `run` from starting: see [`Settings::check_for_run`]. Where there is no file, or no TOML in it, that
/// is all that can be said.
pub fn load_for_run(path: &Path) -> (Settings, Faults) {
    let (settings, mut faults) = read_partly(path);
    if let Some(settings) = &settings {
        let more = settings.check_for_run(&path.display().to_string(), &faults);
        faults.0.extend(more.0);
    }
    (settings.unwrap_or_default(), faults)
}

fn read_partly(path: &Path) -> (Option<Settings>, Faults) {
    let name = path.display().to_string();
    let mut faults = Faults::default();
    let settings = match std::fs::read_to_string(path) {
        Ok(text) => read(&name, &text, &mut faults),
        Err(e) => {
            faults.add(&name, 0, "config", format!("cannot be read: {e}; name the config with --config FILE"));
            None
        }
    };
    (settings, faults)
}

/// Reads the text of a config file; `file_name` is what faults call it.
///
/// # Errors
/// All faults of the text.
pub fn parse(file_name: &str, text: &str) -> Result<Settings, Faults> {
    let mut faults = Faults::default();
    let settings = read(file_name, text, &mut faults).unwrap_or_default();
    faults.check(settings)
}

/// `None` for what is no TOML.
fn read(file_name: &str, text: &str, faults: &mut Faults) -> Option<Settings> {
    let document = Document::new(file_name, text);
    document.read(faults, |root, faults| Some(read_root(root, faults)))
}

fn read_root(root: &Section<'_>, faults: &mut Faults) -> Settings {
    let mut settings = Settings::default();
    let mut lines =
        Lines { spools: Vec::new(), sink_file: root.line_of("sink"), state: root.line_of("state"), metrics: 0 };
    let mut top = Table::new(root, "", faults);
    for (i, section) in top.subs("spool").iter().enumerate() {
        lines.spools.push(section.line);
        settings.spools.push(read_spool(Table::new(section, &format!("[[spool]] {}", i + 1), top.faults)));
    }
    if let Some(section) = top.sub("state") {
        settings.state = read_state(Table::new(&section, "[state]", top.faults));
    }
    if let Some(section) = top.sub("sink") {
        let mut sinks = Table::new(&section, "[sink]", top.faults);
        if let Some(section) = sinks.sub("file") {
            lines.sink_file = section.line;
            settings.sink_file = read_sink_file(Table::new(&section, "[sink.file]", sinks.faults));
        }
        if let Some(section) = sinks.sub("syslog") {
            settings.sink_syslog = read_sink_syslog(Table::new(&section, "[sink.syslog]", sinks.faults));
        }
        sinks.finish();
    }
    if let Some(section) = top.sub("detection") {
        settings.detection = read_detection(Table::new(&section, "[detection]", top.faults));
    }
    if let Some(section) = top.sub("sigma") {
        settings.detection.sigma = read_sigma(Table::new(&section, "[sigma]", top.faults));
    }
    if let Some(section) = top.sub("limits") {
        settings.limits = read_limits(Table::new(&section, "[limits]", top.faults));
    }
    if let Some(section) = top.sub("control") {
        settings.control = read_control(Table::new(&section, "[control]", top.faults));
    }
    if let Some(section) = top.sub("metrics") {
        lines.metrics = section.line;
        settings.metrics = read_metrics(Table::new(&section, "[metrics]", top.faults));
    }
    top.finish();
    for (place, message) in overlaps(&settings, &written) {
        faults.add(root.file(), lines.of(place), &place.to_string(), message);
    }
    settings
}

/// Where the tables begin that may contradict each other.
struct Lines {
    spools: Vec<usize>,
    sink_file: usize,
    state: usize,
    metrics: usize,
}

impl Lines {
    fn of(&self, place: Place) -> usize {
        match place {
            Place::Spool(i) => self.spools.get(i).copied().unwrap_or(0),
            Place::SinkFile => self.sink_file,
            Place::State => self.state,
            Place::Metrics => self.metrics,
        }
    }
}

fn read_spool(mut t: Table<'_, '_, '_>) -> SpoolSettings {
    let mut s = SpoolSettings::default();
    if !t.section.has("path") {
        t.section.fault(t.faults, t.section.line, "path is missing; write the directory to read");
    }
    t.path("path", &mut s.path);
    t.texts("include", &mut s.include);
    t.texts("exclude", &mut s.exclude);
    if s.include.is_empty() {
        t.refuse("include", "include is empty, so no file would be read; write [\"*\"] for all");
    }
    for (key, globs) in [("include", &s.include), ("exclude", &s.exclude)] {
        for glob in globs.iter().filter(|g| g.is_empty() || g.contains('/')) {
            t.refuse(key, format!("{key} holds {glob:?}; write file names with * and ?, without directories"));
        }
    }
    t.choice("format", &mut s.format, FormatSetting::ALL, FormatSetting::name);
    t.zone("timezone", &mut s.timezone);
    t.whole("rescan_secs", &mut s.rescan_secs, 1..=3600);
    t.whole("silent_after_secs", &mut s.silent_after_secs, 0..=31_536_000);
    t.optional_path("dead_letter", &mut s.dead_letter);
    t.finish();
    s
}

fn read_state(mut t: Table<'_, '_, '_>) -> StateSettings {
    let mut s = StateSettings::default();
    t.path("dir", &mut s.dir);
    t.whole("snapshot_minutes", &mut s.snapshot_minutes, 0..=10_080);
    t.whole("snapshots_kept", &mut s.snapshots_kept, 0..=100);
    t.whole("compact_min_bytes", &mut s.compact_min_bytes, 0..=1 << 50);
    t.finish();
    s
}

fn read_sink_file(mut t: Table<'_, '_, '_>) -> Option<FileSinkSettings> {
    let mut s = FileSinkSettings::default();
    let mut enabled = true;
    t.flag("enabled", &mut enabled);
    t.path("path", &mut s.path);
    t.choice("format", &mut s.format, AlertFormat::ALL, AlertFormat::name);
    t.choice("fsync", &mut s.fsync, FsyncSetting::ALL, FsyncSetting::name);
    t.whole("min_score", &mut s.min_score, 0..=1_000_000);
    t.finish();
    enabled.then_some(s)
}

fn read_sink_syslog(mut t: Table<'_, '_, '_>) -> Option<SyslogSinkSettings> {
    let mut s = SyslogSinkSettings::default();
    let mut enabled = true;
    t.flag("enabled", &mut enabled);
    t.target("target", &mut s.target);
    t.text("facility", &mut s.facility);
    if !FACILITIES.iter().any(|(name, _)| *name == s.facility) {
        let known = suggest(&s.facility, FACILITIES.iter().map(|(name, _)| *name));
        t.refuse("facility", format!("facility {:?} is unknown{known}", s.facility));
    }
    t.choice("format", &mut s.format, AlertFormat::ALL, AlertFormat::name);
    // Id, rule and score take some 600 bytes, a header some 350; a datagram holds 65,507 over IPv4.
    t.whole("max_message_bytes", &mut s.max_message_bytes, 1024..=65_000);
    t.whole("min_score", &mut s.min_score, 0..=1_000_000);
    t.finish();
    enabled.then_some(s)
}

fn read_detection(mut t: Table<'_, '_, '_>) -> DetectionSettings {
    let mut s = DetectionSettings::default();
    t.zone("timezone", &mut s.timezone);
    t.flag("strict", &mut s.strict);
    t.texts("disabled_rules", &mut s.disabled_rules);
    t.texts("options", &mut s.options);
    t.optional_path("content_dir", &mut s.content_dir);
    t.texts("sanctioned_domains", &mut s.sanctioned_domains);
    for domain in s.sanctioned_domains.iter().filter(|d| !is_domain(d)) {
        t.refuse(
            "sanctioned_domains",
            format!("sanctioned_domains holds {domain:?}; write the name alone: \"files.example.com\""),
        );
    }
    t.whole("late_days", &mut s.late_days, 0..=3660);
    t.whole("future_days", &mut s.future_days, 0..=3660);
    t.whole("window_days", &mut s.window_days, 1..=3660);
    t.whole("min_history_days", &mut s.min_history_days, 0..=3660);
    t.whole("maturity_days", &mut s.maturity_days, 0..=3660);
    t.fraction("min_confidence", &mut s.min_confidence);
    let window = s.window_days;
    for (key, days) in
        [("late_days", s.late_days), ("min_history_days", s.min_history_days), ("maturity_days", s.maturity_days)]
    {
        if days >= window {
            t.refuse(key, format!("{key} is {days}, but window_days is {window}; write a number below window_days"));
        }
    }
    if let Some(section) = t.sub("tables") {
        s.tables =
            read_map(Table::new(&section, "[detection.tables]", t.faults), |t, key| t.section.boolean(key, t.faults));
    }
    if let Some(section) = t.sub("table_files") {
        let table = Table::new(&section, "[detection.table_files]", t.faults);
        s.table_files = read_map(table, |t, key| t.section.string(key, t.faults).map(PathBuf::from));
    }
    if let Some(section) = t.sub("directory") {
        let mut table = Table::new(&section, "[detection.directory]", t.faults);
        table.optional_path("file", &mut s.directory);
        table.finish();
    }
    t.finish();
    s
}

fn read_sigma(mut t: Table<'_, '_, '_>) -> SigmaSettings {
    let mut s = SigmaSettings::default();
    let mut dirs = Vec::new();
    t.texts("dirs", &mut dirs);
    for (i, dir) in dirs.iter().enumerate() {
        if dir.is_empty() {
            t.refuse("dirs", "dirs holds an empty text; write the directories of the rules");
        }
        if dirs.iter().take(i).any(|other| other == dir) {
            t.refuse("dirs", format!("dirs names {dir:?} twice"));
        }
    }
    s.dirs = dirs.into_iter().map(PathBuf::from).collect();
    t.choice("on_fault", &mut s.on_fault, OnFault::ALL, OnFault::name);
    t.word("min_level", &mut s.min_level, &SIGMA_LEVELS);
    t.texts("statuses", &mut s.statuses);
    for status in s.statuses.clone() {
        t.known_word("statuses", &status, &SIGMA_STATUSES);
    }
    let mut license = String::new();
    t.text("license", &mut license);
    s.license = Some(license).filter(|license| !license.is_empty());
    if let Some(section) = t.sub("placeholders") {
        let table = Table::new(&section, "[sigma.placeholders]", t.faults);
        s.placeholders = read_map(table, |t, key| t.section.strings(key, t.faults));
    }
    t.finish();
    s
}

/// Every key of a table whose keys are names that content chose.
fn read_map<T>(
    mut t: Table<'_, '_, '_>,
    mut read: impl FnMut(&mut Table<'_, '_, '_>, &str) -> Option<T>,
) -> BTreeMap<String, T> {
    let keys: Vec<String> = t.section.keys().map(str::to_owned).collect();
    keys.into_iter().filter_map(|key| read(&mut t, &key).map(|value| (key, value))).collect()
}

fn read_limits(mut t: Table<'_, '_, '_>) -> Limits {
    let mut s = Limits::default();
    const GIB: u64 = 1 << 30;
    t.whole("max_line_bytes", &mut s.max_line_bytes, 1024..=GIB / 64);
    t.whole("max_quoted_lines", &mut s.max_quoted_lines, 1..=100_000);
    t.whole("max_command_chars", &mut s.max_command_chars, 256..=1_048_576);
    t.whole("read_bytes", &mut s.read_bytes, 4096..=GIB / 16);
    t.whole("max_batches", &mut s.max_batches, 1..=1024);
    t.whole("max_open_files", &mut s.max_open_files, 8..=1_000_000);
    t.whole("forget_gone_hours", &mut s.forget_gone_hours, 0..=87_600);
    t.whole("max_expansion", &mut s.max_expansion, 1..=1_000_000);
    t.whole("workers", &mut s.workers, 0..=64);
    t.whole("max_uncommitted_bytes", &mut s.max_uncommitted_bytes, 65_536..=4 * GIB);
    t.whole("max_delta_bytes", &mut s.max_delta_bytes, 16_384..=4 * GIB);
    t.whole("max_queued_alerts", &mut s.max_queued_alerts, 1..=10_000_000);
    t.whole("max_queued_alert_bytes", &mut s.max_queued_alert_bytes, 65_536..=4 * GIB);
    t.whole("max_alerts_kept", &mut s.max_alerts_kept, 0..=10_000_000);
    t.whole("max_alerts_per_day", &mut s.max_alerts_per_day, 1..=u64::from(u32::MAX));
    t.whole("max_guards", &mut s.max_guards, 1..=1_000_000_000);
    t.whole("max_entities", &mut s.max_entities, 1..=1_000_000_000);
    t.whole("max_resident_bytes", &mut s.max_resident_bytes, 0..=1 << 40);
    // The record of an entity holds them all and must fit into a value of the store.
    t.whole("max_values", &mut s.max_values, 1..=5_000);
    t.whole("max_instances", &mut s.max_instances, 1..=1_000_000_000);
    t.whole("max_bins", &mut s.max_bins, 1..=1_000_000_000);
    t.whole("max_bins_wide", &mut s.max_bins_wide, 1..=1_000_000_000);
    t.whole("max_dead_letter_bytes", &mut s.max_dead_letter_bytes, 65_536..=1024 * GIB);
    t.finish();
    s
}

fn read_control(mut t: Table<'_, '_, '_>) -> ControlSettings {
    let mut s = ControlSettings::default();
    t.socket("socket", &mut s.socket);
    t.finish();
    s
}

fn read_metrics(mut t: Table<'_, '_, '_>) -> Option<MetricsSettings> {
    let mut s = MetricsSettings::default();
    let mut enabled = true;
    t.flag("enabled", &mut enabled);
    t.optional_socket("socket", &mut s.socket);
    t.loopback("listen", &mut s.listen);
    t.optional_path("textfile", &mut s.textfile);
    if let Some(file) = s.textfile.as_ref().filter(|file| file.extension().is_none_or(|e| e != "prom")) {
        let message = format!("textfile {:?} must end with .prom: node_exporter reads no other files", file.display());
        t.refuse("textfile", message);
    }
    t.whole("textfile_secs", &mut s.textfile_secs, 1..=3600);
    if s.socket.is_none() && s.listen.is_none() && s.textfile.is_none() {
        let message = "socket, listen and textfile are all empty, so nobody could read the metrics; write one of them, or \
                       enabled = false";
        t.section.fault(t.faults, t.section.line, message);
    }
    t.finish();
    enabled.then_some(s)
}

/// Whether a text can be a domain: labels of letters, digits, `-` and `_`, with or without a dot; other scripts count as letters.
fn is_domain(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    !text.is_empty()
        && text
            .split('.')
            .all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_'))
}

/// One table of the file. Each getter leaves its slot at the default unless the key is there and good.
struct Table<'s, 'd, 'f> {
    section: &'s Section<'d>,
    faults: &'f mut Faults,
    known: Vec<&'static str>,
}

impl<'s, 'd, 'f> Table<'s, 'd, 'f> {
    fn new(section: &'s Section<'d>, item: &str, faults: &'f mut Faults) -> Table<'s, 'd, 'f> {
        section.set_item(item);
        Table { section, faults, known: Vec::new() }
    }

    fn refuse(&mut self, key: &str, message: impl Into<String>) {
        self.section.fault(self.faults, self.section.line_of(key), message);
    }

    fn text(&mut self, key: &'static str, slot: &mut String) {
        self.known.push(key);
        if let Some(text) = self.section.string(key, self.faults) {
            *slot = text;
        }
    }

    fn texts(&mut self, key: &'static str, slot: &mut Vec<String>) {
        self.known.push(key);
        if let Some(texts) = self.section.strings(key, self.faults) {
            *slot = texts;
        }
    }

    fn path(&mut self, key: &'static str, slot: &mut PathBuf) {
        self.known.push(key);
        match self.section.string(key, self.faults) {
            Some(text) if text.is_empty() => self.refuse(key, format!("{key} is empty; write a path")),
            Some(text) if text.contains('\0') => self.refuse(key, format!("{key} holds a NUL; write a path")),
            Some(text) => *slot = PathBuf::from(text),
            None => {}
        }
    }

    fn optional_path(&mut self, key: &'static str, slot: &mut Option<PathBuf>) {
        self.known.push(key);
        if let Some(text) = self.section.string(key, self.faults) {
            *slot = (!text.is_empty()).then(|| PathBuf::from(text));
        }
    }

    fn socket(&mut self, key: &'static str, slot: &mut PathBuf) {
        self.path(key, slot);
        self.check_socket(key, slot);
    }

    fn optional_socket(&mut self, key: &'static str, slot: &mut Option<PathBuf>) {
        self.optional_path(key, slot);
        if let Some(path) = slot.clone() {
            self.check_socket(key, &path);
        }
    }

    fn check_socket(&mut self, key: &str, path: &Path) {
        let bytes = path.as_os_str().len();
        if bytes > MAX_SOCKET_PATH {
            self.refuse(key, format!("{key} has {bytes} bytes; the path of a socket holds at most {MAX_SOCKET_PATH}"));
        }
    }

    fn target(&mut self, key: &'static str, slot: &mut SyslogTarget) {
        self.known.push(key);
        match self.section.string(key, self.faults).map(|text| SyslogTarget::parse(&text)) {
            Some(Ok(target)) => *slot = target,
            Some(Err(message)) => self.refuse(key, message),
            None => {}
        }
    }

    /// An address and port of this machine alone.
    fn loopback(&mut self, key: &'static str, slot: &mut Option<SocketAddr>) {
        self.known.push(key);
        let Some(text) = self.section.string(key, self.faults).filter(|text| !text.is_empty()) else { return };
        match text.parse::<SocketAddr>() {
            Ok(at) if !at.ip().is_loopback() => self.refuse(
                key,
                format!(
                    "{key} {text:?} is no loopback address: whoever reaches it over the network could read the metrics; \
                     write \"127.0.0.1:{}\", and let something with encryption and passwords carry them on",
                    at.port()
                ),
            ),
            Ok(at) if at.port() == 0 => self.refuse(key, format!("{key} {text:?} has no port; write one from 1 to 65535")),
            Ok(at) => *slot = Some(at),
            Err(_) => self.refuse(key, format!("{key} {text:?} is no address with a port; write \"127.0.0.1:9184\"")),
        }
    }

    fn zone(&mut self, key: &'static str, slot: &mut String) {
        self.text(key, slot);
        if let Err(message) = Zone::named(slot) {
            self.refuse(key, format!("{key}: {message}"));
        }
    }

    fn flag(&mut self, key: &'static str, slot: &mut bool) {
        self.known.push(key);
        if let Some(flag) = self.section.boolean(key, self.faults) {
            *slot = flag;
        }
    }

    fn whole<T: TryFrom<u64>>(&mut self, key: &'static str, slot: &mut T, range: RangeInclusive<u64>) {
        self.known.push(key);
        let Some(n) = self.section.integer(key, self.faults) else { return };
        let good = u64::try_from(n).ok().filter(|n| range.contains(n)).and_then(|n| T::try_from(n).ok());
        match good {
            Some(value) => *slot = value,
            None => {
                self.refuse(key, format!("{key} is {n}; write a number from {} to {}", range.start(), range.end()));
            }
        }
    }

    fn fraction(&mut self, key: &'static str, slot: &mut f64) {
        self.known.push(key);
        match self.section.float(key, self.faults) {
            Some(x) if (0.0..=1.0).contains(&x) => *slot = x,
            Some(x) => self.refuse(key, format!("{key} is {x}; write a number from 0 to 1")),
            None => {}
        }
    }

    fn choice<T: Copy>(&mut self, key: &'static str, slot: &mut T, all: &[T], name: fn(T) -> &'static str) {
        self.known.push(key);
        let Some(text) = self.section.string(key, self.faults) else { return };
        match all.iter().find(|v| name(**v) == text) {
            Some(value) => *slot = *value,
            None => {
                let hint = suggest(&text, all.iter().map(|v| name(*v)));
                self.refuse(key, format!("{key} {text:?} is unknown{hint}"));
            }
        }
    }

    /// One of some words that are no settings of their own.
    fn word(&mut self, key: &'static str, slot: &mut String, all: &[&str]) {
        self.text(key, slot);
        self.known_word(key, &slot.clone(), all);
    }

    fn known_word(&mut self, key: &str, word: &str, all: &[&str]) {
        if !all.contains(&word) {
            self.refuse(key, format!("{key} {word:?} is unknown{}", suggest(word, all.iter().copied())));
        }
    }

    fn sub(&mut self, key: &'static str) -> Option<Section<'d>> {
        self.known.push(key);
        self.section.table(key, self.faults)
    }

    fn subs(&mut self, key: &'static str) -> Vec<Section<'d>> {
        self.known.push(key);
        self.section.tables(key, self.faults)
    }

    fn finish(self) {
        self.section.finish(&self.known, self.faults);
    }
}

#[cfg(test)]
mod tests;
