//! `status`.

use super::agentctl;
use expect_test::expect;

#[test]
fn the_page_begins_with_what_needs_attention() {
    expect![[r#"
        Running: pid 812, version 0.1.0, up 3 d 2 h
          since             2026-03-11T08:00:00.000Z
          from              running agent, pid 812, epoch 77

        Needs attention
        sink syslog has failed since 2026-03-14T09:58:00.000Z: connection refused
        /var/spool/dtex/=1\x1b]0;owned\x07\x1b[2J\u{202e}exe.fdp, "x"\r\n\x9b31m.csv: permission denied
        no hints from the kernel: new bytes are seen at the next rescan

        Read
          records           10240 in 6.7 MiB
          events            file-write 6234, process-created 4000
          rejects           bad_time 2
          oddities          none
          other             1 headers, 3 blank lines
          late, future      5, 1
          newest day        2026-03-14
          behind            ~4.7 GiB, 5 d 10 h; the oldest unread event is of 2026-03-08T23:59:58.000Z
          compressed        2.8 GiB of that, as they stand on the disk
          waiting           3 files wait until older ones are read: 1.5 KiB

        file                                        format  lines  behind   event time  rejects  state
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        /var/spool/dtex/=1\x1b]0;owned\x07\x1b[2J\  -           0  -        -                 0  unreadable
        u{202e}exe.fdp, "x"\r\n\x9b31m.csv
        /var/spool/dtex/a.log                       cef     10240  1.5 KiB  1 min 15 s        2  following

        Rules that cannot fire
          R-SUM             no event has carried bytes_out

        Models
          M-USER            60 converged, 60 learning, 1 saturated
          M-ORG             0 converged, 1 learning

        Alerts
          raised            312, of these 12 suppressed
          sink file         300 delivered, 0 below min_score, 0 waiting, 12 suppressed
          sink syslog       100 delivered, 196 below min_score, 4 waiting; 9 failed attempts

        Inside
          memory            5.0 MiB about users and hosts; 1200 stay in the state alone, 31 came back
          last commit       epoch 77 at 2026-03-14T10:00:00.000Z
          batches           1 of 8
          alerts waiting    4
    "#]]
    .assert_eq(&agentctl("status", 100));
}

#[test]
fn the_page_fits_a_narrow_terminal() {
    expect![[r#"
        Running: pid 812, version 0.1.0, up 3 d
        2 h
          since         2026-03-11T08:00:00.000Z
          from
            running agent, pid 812, epoch 77

        Needs attention
        sink syslog has failed since
        2026-03-14T09:58:00.000Z: connection
        refused
        /var/spool/dtex/=1\x1b]0;owned\x07\x1b[2
        J\u{202e}exe.fdp, "x"\r\n\x9b31m.csv:
        permission denied
        no hints from the kernel: new bytes are
        seen at the next rescan

        Read
          records       10240 in 6.7 MiB
          events
            file-write 6234, process-created
            4000
          rejects       bad_time 2
          oddities      none
          other         1 headers, 3 blank lines
          late, future  5, 1
          newest day    2026-03-14
          behind
            ~4.7 GiB, 5 d 10 h; the oldest
            unread event is of
            2026-03-08T23:59:58.000Z
          compressed
            2.8 GiB of that, as they stand on
            the disk
          waiting
            3 files wait until older ones are
            read: 1.5 KiB

          file
            /var/spool/dtex/=1\x1b]0;owned\x07\x
            1b[2J\u{202e}exe.fdp,
            "x"\r\n\x9b31m.csv
          format        -
          lines         0
          behind        -
          event time    -
          rejects       0
          state         unreadable

          file          /var/spool/dtex/a.log
          format        cef
          lines         10240
          behind        1.5 KiB
          event time    1 min 15 s
          rejects       2
          state         following

        Rules that cannot fire
          R-SUM
            no event has carried bytes_out

        Models
          M-USER
            60 converged, 60 learning, 1
            saturated
          M-ORG         0 converged, 1 learning

        Alerts
          raised
            312, of these 12 suppressed
          sink file
            300 delivered, 0 below min_score, 0
            waiting, 12 suppressed
          sink syslog
            100 delivered, 196 below min_score,
            4 waiting; 9 failed attempts

        Inside
          memory
            5.0 MiB about users and hosts; 1200
            stay in the state alone, 31 came
            back
          last commit
            epoch 77 at 2026-03-14T10:00:00.000Z
          batches       1 of 8
          alerts waiting
            4
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
