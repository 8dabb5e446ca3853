//! Golden lines, hostile text in every field, and limits.

use super::super::escape::is_deceptive;
use super::super::samples::{agent, detection, hostile, web};
use super::*;
use crate::alert::{AlertKind, Fields};
use expect_test::expect;
use std::sync::Arc;

#[test]
fn a_process_alert_as_cef() {
    expect![[r#"CEF:0|exfil-agent|exfil-agent|0.1.0|R-ENCODE|Commands to encode files were used.|8|externalId=00000000000000000000000000000007 start=1772353500123 rt=1772353501000 cat=detection dvchost=collector1 msg=Commands to encode files were used: user corp\\jdoe, certutil; image equals certutil act=ProcessCreated suser=jdoe sntdom=CORP dhost=WS1 dproc=C:\\Windows\\System32\\certutil.exe cs5=certutil -encode a\=b c|d cs5Label=commandLine dpid=4711 sproc=cmd.exe suid=corp\\jdoe cs1=image equals certutil [certutil] cs1Label=evidence cs3=certutil cs3Label=value cs4=T1105 cs4Label=attack cs6=A. Author; DRL 1.1; https://example.com/rule cs6Label=attribution flexString1=/var/spool/dtex/a.log:14 flexString1Label=origin cn2=9000 cn2Label=offset flexString2=sales flexString2Label=peerGroup cn1=20 cn1Label=score"#]].assert_eq(&render(&detection(7), &agent()));
}

#[test]
fn a_web_alert_of_a_model_as_cef_has_no_number_key_that_is_no_number() {
    expect![[r#"CEF:0|exfil-agent|exfil-agent|0.1.0|R-ENCODE|Commands to encode files were used.|8|externalId=00000000000000000000000000000008 start=1772353500123 rt=1772353501000 cat=detection dvchost=collector1 msg=Commands to encode files were used: host ws1; M-ORG says top for ws1 in * (counted 60 of 400, 12 values, confidence 0.97, 30 history days) shost=WS1 request=https://files.example.com/a?b\=c dhost=files.example.com dpt=443 requestMethod=POST cs2=M-ORG top scope * value ws1 count 60 n 400 c 12 confidence 0.970 converged true history_days 30 rank 1 threshold 1 median 3.5 cs2Label=baseline cs4=T1105 cs4Label=attack cs6=A. Author; DRL 1.1; https://example.com/rule cs6Label=attribution flexString1=/var/spool/dtex/a.log:14 flexString1Label=origin cn2=9000 cn2Label=offset cn1=20 cn1Label=score"#]].assert_eq(&render(&web(8), &agent()));
}

#[test]
fn an_operational_alert_as_cef() {
    let mut alert = detection(9);
    alert.kind = AlertKind::Operational;
    Arc::make_mut(&mut alert.rule).id = "spool_silent".into();
    Arc::make_mut(&mut alert.rule).name = "Spool is silent".into();
    Arc::make_mut(&mut alert.rule).attack.clear();
    Arc::make_mut(&mut alert.rule).author.clear();
    alert.entity_kind = EntityKind::Agent;
    alert.entity.clear();
    alert.value = None;
    alert.peer_group = None;
    alert.event_type.clear();
    alert.fields = Fields::default();
    alert.evidence =
        Evidence { notes: vec!["No new byte in /var/spool/dtex for 3600 s.".into()], ..Evidence::default() };
    alert.origin = None;
    expect!["CEF:0|exfil-agent|exfil-agent|0.1.0|spool_silent|Spool is silent|8|externalId=00000000000000000000000000000009 start=1772353500123 rt=1772353501000 cat=operational dvchost=collector1 msg=Spool is silent; No new byte in /var/spool/dtex for 3600 s cs1=No new byte in /var/spool/dtex for 3600 s. cs1Label=evidence cn1=20 cn1Label=score"].assert_eq(&render(&alert, &agent()));
}

/// Splits a line as a receiver does: seven header fields, then pairs before unescaped ` key=`.
fn receive(line: &str) -> (Vec<String>, Vec<(String, String)>) {
    let mut header = vec![String::new()];
    let mut chars = line.chars();
    while header.len() < 8 {
        match chars.next().unwrap() {
            '\\' => header.last_mut().unwrap().push(chars.next().unwrap()),
            '|' => header.push(String::new()),
            c => header.last_mut().unwrap().push(c),
        }
    }
    let rest: Vec<char> = chars.collect();
    let mut equals: Vec<usize> = Vec::new();
    let mut i = 0;
    while i < rest.len() {
        match rest[i] {
            '\\' => i += 1,
            '=' => equals.push(i),
            _ => {}
        }
        i += 1;
    }
    let key_start = |e: usize| rest[..e].iter().rposition(|c| *c == ' ').map_or(0, |p| p + 1);
    let pairs = equals.iter().enumerate().map(|(n, &e)| {
        let end = equals.get(n + 1).map_or(rest.len(), |&next| key_start(next) - 1);
        (rest[key_start(e)..e].iter().collect(), rest[e + 1..end].iter().collect())
    });
    (header, pairs.collect())
}

#[test]
fn hostile_text_in_every_field_adds_no_pair_no_header_field_and_no_line() {
    let alert = hostile(40);
    let line = render(&alert, &agent());
    assert!(!line.chars().any(is_deceptive));
    let (header, pairs) = receive(&line);
    assert_eq!(header[4], alert.rule.id);
    assert_eq!(header[6], "8");
    let all: Vec<String> = pairs.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(all.first().map(String::as_str), Some("externalId"));
    assert_eq!(pairs[0].1, alert.id);
    assert!(line.ends_with(LAST_PAIR));
    let mut unique = all.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), all.len(), "a key is given twice: {all:?}");
    // The numbers that hostile text stands for are left out, everything else is there.
    assert!(!all.contains(&"dpid".to_owned()));
    for key in
        ["suser", "dproc", "sproc", "cs1", "cs2", "cs3", "cs4", "cs5", "cs6", "flexString1", "flexString2", "msg"]
    {
        assert!(all.contains(&key.to_owned()), "{key} is missing in {all:?}");
    }
}

#[test]
fn a_limit_cuts_the_longest_values_and_never_the_id_or_the_rule() {
    let alert = hostile(4096);
    for limit in [16_384, 8192, 2048, 700] {
        let Rendered { line, cut } = render_within(&alert, &agent(), limit);
        assert!(cut);
        assert!(line.len() <= limit, "{} bytes for {limit}", line.len());
        let (header, pairs) = receive(&line);
        assert_eq!(header[4], alert.rule.id);
        assert_eq!(pairs[0], ("externalId".to_owned(), alert.id.clone()));
        assert!(line.contains(" flexNumber1=1 flexNumber1Label=truncated"));
        assert!(line.ends_with(LAST_PAIR));
    }
    let mut long = detection(1);
    let long_command = "x".repeat(5000);
    let longer =
        |(name, value): (&str, _)| (name.to_owned(), if name == "command_line" { &*long_command } else { value });
    long.fields = detection(1).fields.iter().map(longer).collect();
    let line = render_within(&long, &agent(), 2048).line;
    assert!(line.contains("dproc=C:\\\\Windows\\\\System32\\\\certutil.exe "), "a short value was cut: {line}");
}
