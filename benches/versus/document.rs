//! The tables in docs/performance.md, between two marks.

use crate::options::Options;
use std::fs;

const DOCUMENT: &str = "docs/performance.md";
const BEGIN: &str = "<!-- make bench: begin -->\n";
const END: &str = "<!-- make bench: end -->\n";

/// Replaces what stands between the marks.
pub fn write(text: &str) {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap_or_else(|| panic!("{DOCUMENT} lost its mark {BEGIN}"));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{DOCUMENT} lost its mark {END}"));
    fs::write(DOCUMENT, format!("{before}{BEGIN}\n{text}\n{END}{after}")).unwrap();
    println!("written into {DOCUMENT}");
}

/// On what, and how: the machine by its processor alone.
pub fn run_facts(options: &Options) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map_or("an unknown processor", |l| l.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let remark = options.remark.as_ref().map_or(String::new(), |r| format!(" Remark: {r}."));
    format!(
        "Machine: {model}, {cores} cores. {} rounds, {} events of the yardstick.{remark}\n\n",
        options.rounds, options.events
    )
}
