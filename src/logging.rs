//! The agent's own log: env_logger to stderr, with journald priorities under systemd.

use log::{Level, LevelFilter};
use std::io::Write;

/// What sled writes to the log by itself is for its developers; the store reports each failure in words of its own.
/// `RUST_LOG=info,sled=debug` shows it.
const DATABASE: LevelFilter = LevelFilter::Off;

/// Sets the log up. `RUST_LOG` overrides the default level.
pub fn init(default_level: &str) {
    let journald = std::env::var_os("JOURNAL_STREAM").is_some();
    let env = env_logger::Env::default().default_filter_or(default_level);
    let mut builder = env_logger::Builder::new();
    builder.filter_module("sled", DATABASE).parse_env(env);
    builder.format(move |out, record| {
        let text = visible(&record.args().to_string());
        if journald {
            writeln!(out, "<{}>{text}", priority(record.level()))
        } else {
            writeln!(out, "{:<5} {text}", record.level())
        }
    });
    let _ = builder.try_init();
}

/// syslog's priority of a level.
const fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// What comes from a spool may be in a message: control characters and bidi marks become visible.
fn visible(text: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
    };
    if !text.contains(hidden) {
        return text.to_owned();
    }
    text.chars().flat_map(|c| if hidden(c) { c.escape_unicode().collect::<Vec<_>>() } else { vec![c] }).collect()
}
