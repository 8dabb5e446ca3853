//! Watches for spools that have gone quiet (`silent_after_secs`). Each is reported once an hour while it stays so.

use crate::alert::Alert;
use crate::calendar::wall_clock_ms;
use crate::config::Settings;
use crate::pipeline::Pipeline;
use log::warn;

/// What is watched.
pub(super) struct Silence {
    started_ms: i64,
    /// Path, seconds, hour of the last report.
    spools: Vec<(String, i64, i64)>,
}

impl Silence {
    pub(super) fn of(settings: &Settings) -> Silence {
        let watched =
            settings.spools.iter().map(|s| (s.path.display().to_string(), s.silent_after_secs as i64, i64::MIN));
        Silence { started_ms: wall_clock_ms(), spools: watched.collect() }
    }

    /// Looks at the spools and reports those that are quiet.
    pub(super) fn check(&mut self, pipeline: &Pipeline) {
        if self.spools.iter().all(|s| s.1 == 0) {
            return;
        }
        let (now, status) = (wall_clock_ms(), pipeline.source.snapshot());
        let hour = now.div_euclid(3_600_000);
        for ((path, secs, reported), spool) in self.spools.iter_mut().zip(&status.spools) {
            let quiet_secs = (now - spool.last_data_ms.unwrap_or(self.started_ms)) / 1000;
            if *secs > 0 && quiet_secs >= *secs && *reported != hour {
                *reported = hour;
                let sentence = format!("no new byte in the spool {path} for {quiet_secs} s; is the export running?");
                warn!("{sentence}");
                let _ = pipeline.operational.try_send(Alert::operational("spool-silent", path, sentence, now));
            }
        }
    }
}
