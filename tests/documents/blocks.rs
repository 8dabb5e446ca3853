//! Every block of commands in a document is run by a test, or stands here with the reason why not.

use super::documents;

/// Which test runs the `sh` blocks of a document.
const RUN: &[(&str, &str)] = &[
    ("README.md", "readme::every_command_of_the_readme_works_as_it_stands_there"),
    ("docs/quickstart.md", "package::guides::the_guides_work_to_the_letter"),
    ("docs/dtex.md", "package::guides::the_guides_work_to_the_letter"),
    ("docs/operating.md", "package::guides::the_guides_work_to_the_letter"),
    ("docs/backtest.md", "compare::the_commands_of_the_document_work_as_they_stand_there"),
    ("docs/content.md", "overrides::the_guide_to_content_works_as_it_stands"),
];

/// Blocks of commands that are not run: how they begin, and why.
const NOT_RUN: &[(&str, &str, &str)] = &[
    (
        "docs/operating.md",
        "apt install ./exfil-agent_*.deb",
        "the summary of docs/quickstart.md, of which each step is run; an editor waits for a person",
    ),
    (
        "docs/metrics.md",
        "curl --unix-socket",
        "the tests of metrics ask the same socket in the same words, without curl",
    ),
    (
        "docs/metrics.md",
        "install -D -m 644",
        "takes a running systemd; `unit_file` holds what the drop-in opens, the tests of metrics ask over a port",
    ),
    ("docs/metrics.md", "ln -s /run/exfil-agent-metrics", "takes a node_exporter; promtool reads the file in a test"),
    ("docs/quality.md", "make quality", "takes minutes; `quality` runs a small one through the same code"),
    ("docs/quality.md", "exfil-agent replay --stats", "`quality` replays a spool with --stats in both forms"),
    ("docs/performance.md", "make bench", "takes an hour and wants a quiet machine; `make torture` and releases do it"),
];

/// Words with which a line begins that is to be typed.
const PROGRAMS: &[&str] = &[
    "agentctl ",
    "exfil-agent ",
    "./target/",
    "make ",
    "cargo ",
    "apt ",
    "dnf ",
    "systemctl ",
    "sudo ",
    "install ",
    "cp ",
    "curl ",
    "ln ",
    "tar ",
];

#[test]
fn every_block_of_commands_is_run_or_has_a_reason() {
    let mut reasons: Vec<&(&str, &str, &str)> = NOT_RUN.iter().collect();
    for (path, text) in documents() {
        let mut fence: Option<(&str, Vec<&str>)> = None;
        for line in text.lines() {
            match (line.strip_prefix("```"), &mut fence) {
                (Some(kind), None) => fence = Some((kind, Vec::new())),
                (Some(_), Some(_)) => {
                    let (kind, lines) = fence.take().unwrap();
                    let first = lines.first().copied().unwrap_or_default();
                    if kind == "sh" {
                        assert!(RUN.iter().any(|(doc, _)| *doc == path), "{path}: no test runs the block `{first}`");
                    } else if lines.iter().any(|l| PROGRAMS.iter().any(|p| l.starts_with(p))) {
                        let listed = |r: &&(&str, &str, &str)| r.0 == path && first.starts_with(r.1);
                        let at = reasons.iter().position(listed);
                        let at = at.unwrap_or_else(|| panic!("{path}: write ```sh, or say why `{first}` is not run"));
                        reasons.remove(at);
                    }
                }
                (None, Some((_, lines))) => lines.push(line),
                (None, None) => {}
            }
        }
        assert!(fence.is_none(), "{path}: a block has no end");
    }
    assert!(reasons.is_empty(), "no such block is left: {reasons:?}");
    let tests = ["tests/readme.rs", "tests/package/guides.rs", "tests/compare.rs", "tests/overrides.rs"]
        .map(|f| std::fs::read_to_string(f).unwrap())
        .concat();
    for (document, test) in RUN {
        let name = test.rsplit("::").next().unwrap();
        assert!(tests.contains(&format!("fn {name}()")), "{test} is gone");
        assert!(tests.contains(document), "{test} does not read {document}");
    }
}
