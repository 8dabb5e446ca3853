//! The text exposition format of Prometheus, version 0.0.4: names, label values and numbers as it wants them.

use super::table::Metric;
use crate::pipeline::latency::{BUCKETS_SECS, Latency};
use std::fmt::Write;

/// What Prometheus is told about a page.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the agent runs; begins at 0 with each start and each change.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    /// Its name in the format.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A value as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(u64),
    /// Any other.
    Real(f64),
}

impl From<u64> for Value {
    fn from(n: u64) -> Value {
        Value::Whole(n)
    }
}
impl From<usize> for Value {
    fn from(n: usize) -> Value {
        Value::Whole(n as u64)
    }
}
impl From<bool> for Value {
    fn from(yes: bool) -> Value {
        Value::Whole(u64::from(yes))
    }
}
impl From<f64> for Value {
    fn from(x: f64) -> Value {
        Value::Real(x)
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Whole(n) => write!(f, "{n}"),
            Value::Real(x) => write!(f, "{x}"),
        }
    }
}

/// Takes the samples of one metric.
pub struct Samples<'p> {
    pub(super) metric: &'p Metric,
    pub(super) out: &'p mut String,
}

impl Samples<'_> {
    /// The one sample of a metric without labels.
    pub fn one(&mut self, value: impl Into<Value>) {
        self.put("", &[], value.into());
    }

    /// The one sample, if there is one.
    pub fn maybe(&mut self, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.one(value);
        }
    }

    /// A sample; the labels' values in the order of the metric's labels.
    pub fn at(&mut self, labels: &[&str], value: impl Into<Value>) {
        self.put("", labels, value.into());
    }

    /// All samples of a histogram.
    pub fn histogram(&mut self, latency: &Latency) {
        let mut sum = 0;
        let bounds = BUCKETS_SECS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(latency.buckets) {
            sum += count;
            let _ = writeln!(self.out, "{}_bucket{{le=\"{bound}\"}} {sum}", self.metric.name);
        }
        self.put("_sum", &[], Value::Real(latency.sum_secs));
        self.put("_count", &[], Value::Whole(sum));
    }

    fn put(&mut self, suffix: &str, labels: &[&str], value: Value) {
        // Writing to a `String` cannot fail.
        let _ = write!(self.out, "{}{suffix}", self.metric.name);
        for (at, (name, value)) in self.metric.labels.iter().zip(labels).enumerate() {
            let _ = write!(self.out, "{}{name}=\"", if at == 0 { '{' } else { ',' });
            escape(value, true, self.out);
            self.out.push('"');
        }
        let _ = writeln!(self.out, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

/// What a page says about a metric before its samples.
pub(super) fn head(metric: &Metric, out: &mut String) {
    let _ = write!(out, "# HELP {} ", metric.name);
    escape(metric.help, false, out);
    let _ = writeln!(out, "\n# TYPE {} {}", metric.name, metric.kind.name());
}

fn escape(text: &str, quotes: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_prometheus_reads_them() {
        let metric =
            Metric { name: "x", kind: Kind::Gauge, labels: &["a", "b"], help: "He\\lp\n\"me\"", give: |_, _| {} };
        let mut out = String::new();
        head(&metric, &mut out);
        let mut samples = Samples { metric: &metric, out: &mut out };
        samples.at(&["C:\\d\n\"q\"", ""], 3usize);
        samples.one(0.25);
        samples.one(1e18);
        samples.maybe(None::<u64>);
        let mut latency = Latency::default();
        (latency.buckets[0], latency.buckets[14], latency.sum_secs) = (2, 1, 61.5);
        samples.histogram(&latency);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(
            lines[..6],
            [
                "# HELP x He\\\\lp\\n\"me\"",
                "# TYPE x gauge",
                "x{a=\"C:\\\\d\\n\\\"q\\\"\",b=\"\"} 3",
                "x 0.25",
                "x 1000000000000000000",
                "x_bucket{le=\"0.001\"} 2",
            ]
        );
        assert_eq!(lines[18..], ["x_bucket{le=\"60\"} 2", "x_bucket{le=\"+Inf\"} 3", "x_sum 61.5", "x_count 3"]);
    }
}
