//! A real logrotate over the alert file while alerts stream, with the agent killed around it: every alert stands in the files
//! exactly once, in order.

use super::{Fed, assert_adds_up, is_whole, side_by_side, tally};
use crate::effort;
use crate::site::{Daemon, id_of};
use crate::skip;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How logrotate is told to work.
struct Way {
    name: &'static str,
    directives: &'static str,
}

const WAYS: [Way; 5] = [
    Way { name: "a new file is made by logrotate", directives: "create 0640" },
    Way { name: "the agent makes the new file", directives: "nocreate" },
    Way { name: "a signal follows", directives: "create 0640\npostrotate\nSIGNAL\nendscript" },
    Way { name: "the last but one is compressed", directives: "create 0640\ncompress\ndelaycompress" },
    Way { name: "the file is copied and truncated", directives: "copytruncate" },
];

#[test]
fn every_alert_is_in_the_rotated_files_exactly_once() {
    let name = "every_alert_is_in_the_rotated_files_exactly_once";
    let Some(program) = skip::command("logrotate") else {
        skip::skip(name, "logrotate is not installed");
        return;
    };
    effort::for_seeds(name, 1, 30, |seed| {
        side_by_side(&WAYS, |way| rotate(&program, way, seed));
    });
}

fn rotate(program: &Path, way: &Way, seed: u64) {
    let mut draw = effort::Draw::new(seed);
    let mut fed = Fed::new("");
    let logs = fed.site.root().join("logs");
    fs::create_dir(&logs).unwrap();
    fed.site.reconfigure("alerts.jsonl", "logs/alerts.jsonl");
    let mut agent = Some(fed.site.start());
    // An agent that is killed while it makes its state reports that at the next start, which is an alert more.
    fed.wait_for("the first start", |_| true);
    let mut kills = 0;
    for _ in 0..6 {
        for _ in 0..1 + draw.below(4) {
            fed.feed(1 + draw.below(120));
        }
        // Some rotations come before the alerts, some in their middle, some after them, some while the agent is dead.
        std::thread::sleep(std::time::Duration::from_millis(draw.below(60) as u64));
        let kill_first = draw.below(2) == 0;
        if kill_first {
            agent.take().into_iter().for_each(Daemon::kill);
            kills += 1;
        }
        logrotate(program, &fed, way, agent.as_ref());
        if !kill_first && draw.below(2) == 0 {
            agent.take().into_iter().for_each(Daemon::kill);
            kills += 1;
        }
        agent.get_or_insert_with(|| fed.site.start());
        // What a killed agent delivered without committing it is looked up in the last rotated file, not in older ones.
        fed.wait_for_delivery(&["file"]);
    }
    let status = fed.wait_for_delivery(&["file"]);
    assert_adds_up(&status, fed.fed);
    assert_eq!(agent.unwrap().terminate(), 0, "{}", fed.site.log());
    let (whole, torn): (Vec<String>, Vec<String>) = lines(&fed).into_iter().partition(|line| is_whole(line));
    assert!(torn.len() <= kills, "{} lines are torn by {kills} kills", torn.len());
    let ids: Vec<String> = whole.iter().map(|line| id_of(line)).collect();
    let repeated: Vec<(String, usize)> = tally(ids.clone()).into_iter().filter(|(_, n)| *n > 1).collect();
    let log = fed.site.log();
    assert_eq!(tally(ids).len(), fed.alerts, "{}, seed {seed}: all are there\n{log}", way.name);
    assert_eq!(repeated, [], "{}, seed {seed}: none stands twice\n{log}", way.name);
}

fn logrotate(program: &Path, fed: &Fed, way: &Way, agent: Option<&Daemon>) {
    let root = fed.site.root();
    let signal = agent.map_or("true".into(), |a| format!("/bin/kill -HUP {}", a.child.id()));
    let directives = way.directives.replace("SIGNAL", &signal);
    let pattern = root.join("logs/alerts.jsonl");
    let conf = format!("\"{}\" {{\nrotate 100\nmissingok\n{directives}\n}}\n", pattern.display());
    fs::write(root.join("logrotate.conf"), conf).unwrap();
    // What logrotate is given must not be writable by others.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(root.join("logrotate.conf"), mode).unwrap();
    let out =
        Command::new(program).arg("-f").arg("-s").arg(root.join("rotated")).arg(root.join("logrotate.conf")).output();
    let out = out.unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// Every line of the alert file and of what logrotate made of it, oldest first.
fn lines(fed: &Fed) -> Vec<String> {
    let mut files: Vec<(u32, PathBuf)> = fs::read_dir(fed.site.root().join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().replace(".gz", "");
            (name.strip_prefix("alerts.jsonl.").map_or(0, |n| n.parse().unwrap()), path)
        })
        .collect();
    files.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    let text = |path: &PathBuf| match path.extension().is_some_and(|e| e == "gz") {
        true => {
            let out = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
            String::from_utf8(out.stdout).unwrap()
        }
        false => fs::read_to_string(path).unwrap(),
    };
    files.iter().flat_map(|(_, path)| text(path).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}
