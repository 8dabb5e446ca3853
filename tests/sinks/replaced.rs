//! The alert file's directory goes and comes back; a directory or a link takes the file's place. Status says why the sink
//! fails, nothing is written elsewhere, and once the place is right again every alert is delivered.

use super::{Fed, assert_adds_up, row, tally};
use crate::site::id_of;
use std::fs;
use std::path::Path;

/// Feeds while the sink cannot deliver; waits until status says so in these words.
fn fails(fed: &mut Fed, words: &str) {
    fed.feed(5);
    let status = fed.wait_for(&format!("the sink to fail: {words}"), |s| {
        s["bytes"] == fed.fed
            && row(s, "file")["failing_since"].is_string()
            && row(s, "file")["last_error"].as_str().is_some_and(|e| e.contains(words))
    });
    let why = row(&status, "file")["last_error"].as_str().unwrap();
    assert!(why.contains("logs/alerts.jsonl"), "{why}");
    assert_eq!(row(&status, "file")["queued"], 5, "{status}");
    assert_adds_up(&status, fed.fed);
}

/// Waits until the sink delivers again.
fn recovers(fed: &Fed) {
    let status = fed.wait_for_delivery(&["file"]);
    assert!(row(&status, "file")["failing_since"].is_null(), "{status}");
    assert_adds_up(&status, fed.fed);
}

fn ids(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(id_of).collect()
}

#[test]
fn a_place_that_went_wrong_is_told_and_nothing_is_lost_once_it_is_right_again() {
    let mut fed = Fed::new("");
    let (logs, away) = (fed.site.root().join("logs"), fed.site.root().join("away"));
    let file = logs.join("alerts.jsonl");
    fed.site.reconfigure("alerts.jsonl", "logs/alerts.jsonl");

    // Missing at start.
    let agent = fed.site.start();
    fails(&mut fed, "make its directory");
    fs::create_dir(&logs).unwrap();
    recovers(&fed);

    // Removed and made anew: what stood in the old one is not written again, what comes stands in the new one.
    fs::rename(&logs, &away).unwrap();
    fails(&mut fed, "make its directory");
    fs::create_dir(&logs).unwrap();
    recovers(&fed);
    let mut all = ids(&away.join("alerts.jsonl"));
    assert_eq!(all.len(), 5);

    // A directory in its place.
    fs::rename(&file, logs.join("1")).unwrap();
    fs::create_dir(&file).unwrap();
    fails(&mut fed, "directory");
    fs::remove_dir(&file).unwrap();
    recovers(&fed);

    // A link in its place, which is never followed: neither to a file nor to nothing.
    fs::rename(&file, logs.join("2")).unwrap();
    fs::write(logs.join("target"), "").unwrap();
    std::os::unix::fs::symlink(logs.join("target"), &file).unwrap();
    fails(&mut fed, "symbolic link");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(logs.join("nothing"), &file).unwrap();
    agent.kill();
    let agent = fed.site.start();
    fed.wait_for("the agent to run", |s| row(s, "file")["last_error"].as_str().is_some_and(|e| e.contains("symbolic")));
    assert_eq!(fs::metadata(logs.join("target")).unwrap().len(), 0);
    assert!(!logs.join("nothing").exists());
    fs::remove_file(&file).unwrap();
    recovers(&fed);

    assert_eq!(agent.terminate(), 0, "{}", fed.site.log());
    all.extend(["1", "2", "alerts.jsonl"].iter().flat_map(|name| ids(&logs.join(name))));
    assert_eq!((all.len(), tally(all).len()), (fed.alerts, fed.alerts), "each once");
    assert_adds_up(&fed.status(), fed.fed);
}
