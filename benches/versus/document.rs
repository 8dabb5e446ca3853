//! The tables in docs/performance.md, each group between two marks, and the plot beside it.

use crate::options::Options;
use std::fs;

const DOCUMENT: &str = "docs/performance.md";
const PLOT: &str = "docs/growth.svg";

/// What stands between two marks of the document.
#[derive(Clone, Copy)]
pub enum Group {
    /// All that a run of everything has to say.
    Bench,
    /// Growth alone.
    Growth,
}

/// Replaces what stands between the marks of a group.
pub fn write(group: Group, text: &str) {
    let name = match group {
        Group::Bench => "make bench",
        Group::Growth => "make bench, growth",
    };
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->\n"));
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("{DOCUMENT} lost its mark {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{DOCUMENT} lost its mark {end}"));
    fs::write(DOCUMENT, format!("{before}{begin}\n{}\n\n{end}{after}", text.trim_end())).unwrap();
    println!("written into {DOCUMENT}");
}

/// The plot of growth.
pub fn write_plot(svg: &str) {
    fs::write(PLOT, svg).unwrap();
    println!("written: {PLOT}");
}

/// On what, and how: the machine by its processor alone.
pub fn machine(options: &Options) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map_or("an unknown processor", |l| l.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let remark = options.remark.as_ref().map_or(String::new(), |r| format!(" Remark: {r}."));
    format!("Machine: {model}, {cores} cores.{remark}")
}
