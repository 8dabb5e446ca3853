//! Settings as TOML: what is in force, every key, in the order of the shipped config.
//!
//! Each struct is taken apart without `..`, so that a setting that is not written does not compile.

use super::{
    ControlSettings, DetectionSettings, FileSinkSettings, Limits, MetricsSettings, Settings, SigmaSettings,
    SpoolSettings, StateSettings, SyslogSinkSettings,
};
use std::fmt::{Display, Write};
use std::path::Path;

impl Settings {
    /// These settings as a config file; reading it gives the same settings. A sink that is off is left out, and so are metrics.
    pub fn to_toml(&self) -> String {
        let Settings { spools, state, sink_file, sink_syslog, detection, limits, control, metrics } = self;
        let mut page = Page::default();
        for spool in spools {
            write_spool(&mut page, spool);
        }
        let StateSettings { dir, snapshot_minutes, snapshots_kept, compact_min_bytes } = state;
        page.table("[state]");
        page.path("dir", Some(dir));
        page.plain("snapshot_minutes", snapshot_minutes);
        page.plain("snapshots_kept", snapshots_kept);
        page.plain("compact_min_bytes", compact_min_bytes);
        if let Some(sink) = sink_file {
            write_sink_file(&mut page, sink);
        }
        if let Some(sink) = sink_syslog {
            write_sink_syslog(&mut page, sink);
        }
        write_detection(&mut page, detection);
        write_limits(&mut page, limits);
        let ControlSettings { socket } = control;
        page.table("[control]");
        page.path("socket", Some(socket));
        if let Some(metrics) = metrics {
            write_metrics(&mut page, metrics);
        }
        page.0
    }
}

fn write_spool(page: &mut Page, spool: &SpoolSettings) {
    let SpoolSettings { path, include, exclude, format, timezone, rescan_secs, silent_after_secs, dead_letter } = spool;
    page.table("[[spool]]");
    page.path("path", Some(path));
    page.texts("include", include);
    page.texts("exclude", exclude);
    page.text("format", format.name());
    page.text("timezone", timezone);
    page.plain("rescan_secs", rescan_secs);
    page.plain("silent_after_secs", silent_after_secs);
    page.path("dead_letter", dead_letter.as_deref());
}

fn write_sink_file(page: &mut Page, sink: &FileSinkSettings) {
    let FileSinkSettings { path, format, fsync, min_score } = sink;
    page.table("[sink.file]");
    page.plain("enabled", true);
    page.path("path", Some(path));
    page.text("format", format.name());
    page.text("fsync", fsync.name());
    page.plain("min_score", min_score);
}

fn write_sink_syslog(page: &mut Page, sink: &SyslogSinkSettings) {
    let SyslogSinkSettings { target, facility, format, max_message_bytes, min_score } = sink;
    page.table("[sink.syslog]");
    page.plain("enabled", true);
    page.text("target", &target.to_string());
    page.text("facility", facility);
    page.text("format", format.name());
    page.plain("max_message_bytes", max_message_bytes);
    page.plain("min_score", min_score);
}

fn write_detection(page: &mut Page, detection: &DetectionSettings) {
    let DetectionSettings {
        timezone,
        strict,
        disabled_rules,
        options,
        content_dir,
        sanctioned_domains,
        tables,
        table_files,
        sigma,
        directory,
        late_days,
        future_days,
        window_days,
        min_history_days,
        maturity_days,
        min_confidence,
    } = detection;
    page.table("[detection]");
    page.text("timezone", timezone);
    page.plain("strict", strict);
    page.texts("disabled_rules", disabled_rules);
    page.texts("options", options);
    page.path("content_dir", content_dir.as_deref());
    page.texts("sanctioned_domains", sanctioned_domains);
    page.plain("late_days", late_days);
    page.plain("future_days", future_days);
    page.plain("window_days", window_days);
    page.plain("min_history_days", min_history_days);
    page.plain("maturity_days", maturity_days);
    // The debug form keeps the point: TOML tells 1.0 from 1.
    page.plain("min_confidence", format_args!("{min_confidence:?}"));
    page.table("[detection.tables]");
    for (name, on) in tables {
        page.plain(&quoted(name), on);
    }
    page.table("[detection.table_files]");
    for (name, file) in table_files {
        page.path(&quoted(name), Some(file));
    }
    page.table("[detection.directory]");
    page.path("file", directory.as_deref());
    write_sigma(page, sigma);
}

fn write_sigma(page: &mut Page, sigma: &SigmaSettings) {
    let SigmaSettings { dirs, on_fault, min_level, statuses, license, placeholders } = sigma;
    page.table("[sigma]");
    let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    page.texts("dirs", &dirs);
    page.text("on_fault", on_fault.name());
    page.text("min_level", min_level);
    page.texts("statuses", statuses);
    page.text("license", license.as_deref().unwrap_or_default());
    page.table("[sigma.placeholders]");
    for (name, values) in placeholders {
        page.texts(&quoted(name), values);
    }
}

fn write_limits(page: &mut Page, limits: &Limits) {
    let Limits {
        max_line_bytes,
        max_quoted_lines,
        max_command_chars,
        read_bytes,
        max_batches,
        max_open_files,
        forget_gone_hours,
        max_expansion,
        workers,
        max_uncommitted_bytes,
        max_delta_bytes,
        max_queued_alerts,
        max_queued_alert_bytes,
        max_alerts_kept,
        max_alerts_per_day,
        max_guards,
        max_entities,
        max_resident_bytes,
        max_values,
        max_instances,
        max_bins,
        max_bins_wide,
        max_dead_letter_bytes,
    } = limits;
    page.table("[limits]");
    page.plain("max_line_bytes", max_line_bytes);
    page.plain("max_quoted_lines", max_quoted_lines);
    page.plain("max_command_chars", max_command_chars);
    page.plain("read_bytes", read_bytes);
    page.plain("max_batches", max_batches);
    page.plain("max_open_files", max_open_files);
    page.plain("forget_gone_hours", forget_gone_hours);
    page.plain("max_expansion", max_expansion);
    page.plain("workers", workers);
    page.plain("max_uncommitted_bytes", max_uncommitted_bytes);
    page.plain("max_delta_bytes", max_delta_bytes);
    page.plain("max_queued_alerts", max_queued_alerts);
    page.plain("max_queued_alert_bytes", max_queued_alert_bytes);
    page.plain("max_alerts_kept", max_alerts_kept);
    page.plain("max_alerts_per_day", max_alerts_per_day);
    page.plain("max_guards", max_guards);
    page.plain("max_entities", max_entities);
    page.plain("max_resident_bytes", max_resident_bytes);
    page.plain("max_values", max_values);
    page.plain("max_instances", max_instances);
    page.plain("max_bins", max_bins);
    page.plain("max_bins_wide", max_bins_wide);
    page.plain("max_dead_letter_bytes", max_dead_letter_bytes);
}

fn write_metrics(page: &mut Page, metrics: &MetricsSettings) {
    let MetricsSettings { socket, listen, textfile, textfile_secs } = metrics;
    page.table("[metrics]");
    page.plain("enabled", true);
    page.path("socket", socket.as_deref());
    page.text("listen", &listen.map(|at| at.to_string()).unwrap_or_default());
    page.path("textfile", textfile.as_deref());
    page.plain("textfile_secs", textfile_secs);
}

/// The text under way. Writing to a `String` cannot fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn table(&mut self, header: &str) {
        let blank = if self.0.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.0, "{blank}{header}");
    }
    fn plain(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }
    fn text(&mut self, key: &str, value: &str) {
        self.plain(key, quoted(value));
    }
    fn texts(&mut self, key: &str, values: &[String]) {
        let all: Vec<String> = values.iter().map(|v| quoted(v)).collect();
        self.plain(key, format_args!("[{}]", all.join(", ")));
    }
    fn path(&mut self, key: &str, value: Option<&Path>) {
        self.text(key, &value.map(Path::to_string_lossy).unwrap_or_default());
    }
}

/// A basic TOML string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
