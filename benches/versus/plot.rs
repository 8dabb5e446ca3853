//! Lines on logarithmic axes, as SVG that is legible on light and dark ground.

use crate::table::rounded;
use std::fmt::Write;

/// Values over the x of a panel.
pub struct Line {
    pub name: String,
    pub ys: Vec<f64>,
}

/// One pair of axes.
pub struct Panel {
    pub title: String,
    /// What the x are.
    pub x: String,
    pub xs: Vec<f64>,
    pub lines: Vec<Line>,
}

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 84.0;

/// Colours on light and on dark ground, and dashes, by line: nothing depends on colour alone.
const STYLES: [(&str, &str, &str); 5] = [
    ("#57606a", "#9aa4af", "6 4"),
    ("#0b62c4", "#6cb1ff", ""),
    ("#b34700", "#ffa657", ""),
    ("#1a7f37", "#56d364", ""),
    ("#8250df", "#d2a8ff", "2 3"),
];

/// Panels side by side; all lines have the same meaning in each, and `y` is what their values are.
pub fn svg(panels: &[Panel], y: &str) -> String {
    let (width, height) = (WIDTH * panels.len() as f64, HEIGHT);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>{}</title>\n<style>\n{}</style>\n<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n",
        panels.iter().map(|p| p.title.as_str()).collect::<Vec<_>>().join("; "),
        styles()
    );
    for (at, panel) in panels.iter().enumerate() {
        let _ = writeln!(out, "<g transform=\"translate({} 0)\">", WIDTH * at as f64);
        panel.draw(&mut out, y);
        out.push_str("</g>\n");
    }
    legend(&mut out, &panels[0], width);
    out + "</svg>\n"
}

fn styles() -> String {
    let theme = |pick: fn(&(&'static str, &'static str, &'static str)) -> &'static str, ground, text, grid| {
        let lines = STYLES.iter().enumerate().map(|(i, s)| format!(".l{i}{{stroke:{0}}}.m{i}{{fill:{0}}}", pick(s)));
        format!(".ground{{fill:{ground}}}text{{fill:{text}}}.grid{{stroke:{grid}}}{}", lines.collect::<String>())
    };
    let light = theme(|s| s.0, "#ffffff", "#1f2328", "#d0d7de");
    let dark = theme(|s| s.1, "#0d1117", "#e6edf3", "#30363d");
    format!(
        "text{{font:12px sans-serif}}.title{{font-weight:bold}}.line{{fill:none;stroke-width:2}}\n{light}\n\
         @media (prefers-color-scheme: dark){{{dark}}}\n"
    )
}

/// A logarithmic axis.
struct Axis {
    from: f64,
    to: f64,
    start: f64,
    length: f64,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let share = (value.max(f64::MIN_POSITIVE).log10() - self.from) / (self.to - self.from);
        self.start + self.length * share
    }
}

impl Panel {
    fn draw(&self, out: &mut String, y_label: &str) {
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v.log10()), high.max(v.log10())))
        };
        let (x_from, x_to) = range(&mut self.xs.iter().copied());
        let (low, high) = range(&mut self.lines.iter().flat_map(|l| l.ys.iter().copied()));
        // What dips a little below a decade does not open another one.
        let (y_from, y_to) = ((low + 0.02).floor(), (high - 0.02).ceil());
        let x = Axis { from: x_from, to: x_to, start: LEFT, length: WIDTH - LEFT - RIGHT };
        let floor = HEIGHT - BOTTOM;
        let y = Axis { from: y_from, to: y_to, start: floor, length: TOP - floor };
        let mut text = |x: f64, y: f64, anchor: &str, class: &str, what: &str| {
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{what}</text>"
            );
        };
        text(LEFT, 24.0, "start", "title", &self.title);
        text(LEFT + x.length / 2.0, floor + 40.0, "middle", "", &self.x);
        for value in &self.xs {
            text(x.at(*value), floor + 18.0, "middle", "", &rounded(*value));
        }
        for decade in y_from as i32..=y_to as i32 {
            text(LEFT - 8.0, y.at(10f64.powi(decade)) + 4.0, "end", "", &rounded(10f64.powi(decade)));
        }
        let _ = writeln!(
            out,
            "<text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">{y_label}</text>",
            (TOP + floor) / 2.0
        );
        let mut rule = |x1: f64, y1: f64, x2: f64, y2: f64| {
            let _ = writeln!(out, "<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
        };
        self.xs.iter().for_each(|value| rule(x.at(*value), TOP, x.at(*value), floor));
        for decade in y_from as i32..=y_to as i32 {
            let height = y.at(10f64.powi(decade));
            rule(LEFT, height, LEFT + x.length, height);
        }
        for (i, line) in self.lines.iter().enumerate() {
            let places: Vec<(f64, f64)> = self.xs.iter().zip(&line.ys).map(|(a, b)| (x.at(*a), y.at(*b))).collect();
            stroke(out, i, &places);
        }
    }
}

/// A line with its marks.
fn stroke(out: &mut String, style: usize, places: &[(f64, f64)]) {
    let points = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
    let dash = STYLES[style % STYLES.len()].2;
    let _ = writeln!(out, "<polyline class=\"line l{style}\" stroke-dasharray=\"{dash}\" points=\"{points}\"/>");
    for (x, y) in places {
        let _ = writeln!(out, "<circle class=\"m{style}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
    }
}

fn legend(out: &mut String, panel: &Panel, width: f64) {
    let (each, y) = ((width - LEFT) / panel.lines.len() as f64, HEIGHT - 18.0);
    for (i, line) in panel.lines.iter().enumerate() {
        let x = LEFT / 2.0 + each * i as f64;
        stroke(out, i, &[(x, y - 4.0), (x + 26.0, y - 4.0)]);
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{y:.1}\">{}</text>", x + 34.0, line.name);
    }
}
