//! `status`.

use super::agentctl;
use expect_test::expect;

#[test]
fn the_page_begins_with_what_needs_attention() {
    expect![[r#"
        Working, but 3 things need attention, below: 4.7 GiB to go; 312 alerts
          - the sink syslog has failed since 2026-03-14 09:58 UTC: connection refused
          - /var/spool/dtex/=1\x1b]0;owned\x07\x1b[2J\u{202e}exe.fdp, "x"\r\n\x9b31m.csv: permission denied
          - no hints from the kernel: new bytes are seen at the next rescan

          agent             pid 812, version 0.1.0, up 3 d 2 h since 2026-03-11 08:00 UTC
          read              10240 records, 6.7 MiB, of 2 files, up to 2026-03-14
          behind            ~4.7 GiB (2.8 GiB of it compressed), 5 d 10 h; the oldest unread event is of
                            2026-03-08 23:59 UTC
          waiting           3 files, 1.5 KiB, until older ones are read
          events            file-write 6234, process-created 4000
          no events         2 of 10240 records: bad_time 2
          late, future      5, 1: judged without a model, nothing learned
          M-USER            60 of 120 have converged, 60 learn, 1 saturated
          M-ORG             0 of 1 have converged, 1 learn
          last commit       number 77 at 2026-03-14 10:00:00 UTC; 5.0 MiB in memory, 1200 users and hosts on
                            disk alone
          in hand           1 batches (of 8), 4 alerts waiting
          alerts            312, 12 of them held back
          sink file         300 delivered, 12 held back
          sink syslog       100 delivered, 196 below min_score, 4 waiting, 9 failed attempts
          silenced          3 alerts by 1 exception (agentctl content exceptions)

        file                                  format  lines  behind   event time  rejects  state
        ──────────────────────────────────────────────────────────────────────────────────────────────
        …]0;owned\x07\x1b[2J\u{202e}exe.fdp,  -           0  -        -                 0  unreadable
        "x"\r\n\x9b31m.csv
        /var/spool/dtex/a.log                 cef     10240  1.5 KiB  1 min 15 s        2  following

        Rules that cannot fire
          - R-SUM: no event has carried bytes_out
    "#]]
    .assert_eq(&agentctl("status", 100));
}

#[test]
fn the_page_fits_a_narrow_terminal() {
    expect![[r#"
        Working, but 3 things need attention,
        below: 4.7 GiB to go; 312 alerts
          - the sink syslog has failed since
            2026-03-14 09:58 UTC: connection
            refused
          - /var/spool/dtex/=1\x1b]0;owned\x07\x
            1b[2J\u{202e}exe.fdp,
            "x"\r\n\x9b31m.csv: permission
            denied
          - no hints from the kernel: new bytes
            are seen at the next rescan

          agent
            pid 812, version 0.1.0, up 3 d 2 h
            since 2026-03-11 08:00 UTC
          read
            10240 records, 6.7 MiB, of 2 files,
            up to 2026-03-14
          behind
            ~4.7 GiB (2.8 GiB of it compressed),
            5 d 10 h; the oldest unread event is
            of 2026-03-08 23:59 UTC
          waiting
            3 files, 1.5 KiB, until older ones
            are read
          events
            file-write 6234, process-created
            4000
          no events
            2 of 10240 records: bad_time 2
          late, future
            5, 1: judged without a model,
            nothing learned
          M-USER
            60 of 120 have converged, 60 learn,
            1 saturated
          M-ORG
            0 of 1 have converged, 1 learn
          last commit
            number 77 at 2026-03-14 10:00:00
            UTC; 5.0 MiB in memory, 1200 users
            and hosts on disk alone
          in hand
            1 batches (of 8), 4 alerts waiting
          alerts
            312, 12 of them held back
          sink file
            300 delivered, 12 held back
          sink syslog
            100 delivered, 196 below min_score,
            4 waiting, 9 failed attempts
          silenced
            3 alerts by 1 exception (agentctl
            content exceptions)

          file          …, "x"\r\n\x9b31m.csv
          format        -
          lines         0
          behind        -
          event time    -
          rejects       0
          state         unreadable

          file          …pool/dtex/a.log
          format        cef
          lines         10240
          behind        1.5 KiB
          event time    1 min 15 s
          rejects       2
          state         following

        Rules that cannot fire
          - R-SUM: no event has carried
            bytes_out
    "#]]
    .assert_eq(&agentctl("status", 40));
}

#[test]
fn programs_get_every_number() {
    let text = agentctl("status --format json", 0);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["events"]["file-read"], 0);
    assert_eq!(value["files"][0]["lag_bytes"], 1536);
    assert_eq!(value["source"]["agent"], "running");
    assert!(agentctl("status --format csv", 0).contains("\nsinks.1.below_min_score,196\n"));
}
