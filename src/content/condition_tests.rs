//! The operators as a table: one row a fact about command lines.

use super::*;
use crate::config::DetectionSettings;
use crate::content::commandline;
use crate::content::files::ContentFiles;
use crate::content::section::Document;
use crate::event::{Draft, EventType, EventView, Span, Text};
use crate::rule::Scratch;

/// Compiles `condition = { … }` with the shipped tables and tool styles.
fn compile(inline: &str) -> Condition {
    let mut faults = Faults::default();
    let files = ContentFiles::shipped();
    let tools = commandline::read(files.document("commandline.toml").as_ref(), &mut faults);
    let tables = TableTexts::gather(&files, &DetectionSettings::default(), &mut faults);
    let vocabulary = Vocabulary { tables, tools: Arc::new(tools) };
    let document = Document::new("row", format!("condition = {{ {inline} }}"));
    let condition = document.read(&mut faults, |s, f| Some(read(s, &vocabulary, f)));
    assert!(faults.is_empty(), "{faults}");
    condition.unwrap()
}

fn holds(condition: &Condition, scratch: &mut Scratch, fields: &[(Field, &str)]) -> bool {
    let (mut raw, mut draft) = (Vec::new(), Draft::default());
    draft.kind = EventType::ProcessCreated;
    for (field, value) in fields {
        draft.append(*field, value, &mut raw);
    }
    condition.holds(EventView { draft: &draft, text: Text { raw: &raw, arena: &[] } }, scratch)
}

/// Image, command line, condition, whether it holds.
const ROWS: &[(&str, &str, &str, bool)] = &[
    // Switches: how they begin.
    ("x", "x -encode a", "switch = 'encode'", true),
    ("x", "x --encode a", "switch = 'encode'", true),
    ("x", "x /ENCODE a", "switch = 'encode'", true),
    ("x", "x –encode a", "switch = 'encode'", true),
    ("x", "x ―encode", "switch = 'encode'", true),
    ("x", "x −encode", "switch = 'encode'", true),
    ("x", "x encode", "switch = 'encode'", false),
    ("x", "x - encode", "switch = 'encode'", false),
    ("x", "x ---encode", "switch = 'encode'", false),
    ("x", "-encode x", "switch = 'encode'", false), // the program is no switch
    ("x", r#"x "-encode""#, "switch = 'encode'", true),
    ("x", r#"x -en"co"de"#, "switch = 'encode'", true),
    ("x", "x -en^code", "switch = 'encode'", true),
    ("x", "x -encodehex", "switch = 'encode'", false),
    ("x", "x -encodehex", "switch_prefix = 'encode'", true),
    // A POSIX path is no switch: a second `/` before any `:` or `=`.
    ("x", "x /i/x", "switch = 'i'", false),
    ("x", "x /i:/x", "switch = 'i'", true),
    ("x", "x /i=a/b", "switch = 'i'", true),
    ("x", "x /i", "switch = 'i'", true),
    ("x", "x /", "switch_prefix = ''", false),
    // Values follow or are attached.
    ("x", "x -s:file", "switch = { name = 's', value = 'file' }", true),
    ("x", "x -s=file", "switch = { name = 's', value = 'file' }", true),
    ("x", "x -s file", "switch = { name = 's', value = 'file' }", true),
    ("x", r#"x -s "my file""#, "switch = { name = 's', value = 'my file' }", true),
    ("x", r#"x -e "open -s file b""#, "switch = { name = 's', value = 'file' }", true),
    ("x", "x -s", "switch = { name = 's', value = 'file' }", false),
    ("x", "x -s:file", "switch = 's'", true),
    ("ftp", "ftp -s:up.txt host", "switch_prefix = 's:'", true),
    ("ftp", "ftp -s up.txt host", "switch_prefix = 's:'", false),
    ("x", "x --interface=eth0", "switch = { name = 'interface', value = { starts_with = 'eth' } }", true),
    // Case counts where the tool's own switches differ by case, or the content says so.
    ("x", "x -I", "switch = 'i'", true),
    ("tshark", "tshark -I", "switch = 'i'", false),
    ("curl", "curl -t a", "switch = 'T'", false),
    ("scp", "scp -B a b", "switch = 'b'", false),
    ("x", "x -r", "switch = { name = 'R', case = true }", false),
    ("x", "x -R", "switch = { name = 'R', case = true }", true),
    // Bundles of one-letter switches.
    ("tcpdump", "tcpdump -nni eth0", "switch = { name = 'i', value = 'eth0' }", true),
    ("tcpdump", "tcpdump -i2", "switch = { name = 'i', value = '2' }", true),
    ("tcpdump", "tcpdump -wint.pcap", "switch = 'i'", false),
    ("tcpdump", "tcpdump -wint.pcap", "switch = { name = 'w', value = 'int.pcap' }", true),
    ("tcpdump", "tcpdump –ni any", "switch = 'i'", true),
    ("tcpdump", "tcpdump --list-interfaces", "switch = ['i', 'interface']", false),
    ("tcpdump", "tcpdump -w -i", "switch = 'i'", false), // -i is the name of the file
    ("tshark", r#"tshark -f "host -i a" -r x"#, "switch = 'i'", false), // -i is part of the filter
    ("curl", "curl -sTfile ftp://h", "switch = { name = 'T', value = 'file' }", true),
    ("curl", "curl -oT", "switch = 'T'", false),
    ("sftp", "sftp -qb batch h", "switch = { name = 'b', value = 'batch' }", true),
    ("x", "x -nni eth0", "switch = 'i'", false), // no bundles for other tools
    ("tcpdump", "tcpdump -ni", "switch = 'ni'", false),
    // Switches cut at each slash.
    ("xcopy", "xcopy /S/E/C a", "switch_all = ['s', 'e', 'c']", true),
    ("xcopy", "xcopy /S /e/C a", "switch_all = ['s', 'e', 'c']", true),
    ("xcopy", "xcopy /S/E a", "switch_all = ['s', 'e', 'c']", false),
    ("x", "x /S/E/C a", "switch = 's'", false),
    ("xcopy", r"xcopy /S/E \\srv\share D:\x", "first_operand = { unc = true }", true),
    ("xcopy", r#"xcopy "\\srv\my share" D:\x /S"#, r"first_operand = '\\srv\my share'", true),
    ("xcopy", r"xcopy C:\x \\srv\share /S", "first_operand = { unc = true }", false),
    // Tokens: arguments cut at blanks, single quotes at their ends dropped.
    ("lftp", r#"lftp -e "open h; put f""#, "token = 'put'", true),
    ("lftp", "lftp -e 'put f'", "token = 'put'", true),
    ("ftp", "ftp -A host PUT f", "token = 'put'", true),
    ("ftp", "ftp input put.txt", "token = 'put'", false),
    ("cmd", "copy a b", "token = 'copy'", true), // the program is a token, too
    ("x", "x sftp://h/f", "token = { starts_with = ['ftp://', 'sftp://'] }", true),
    // The last path component of a token.
    ("x", r"x C:\a\eprod.ldf", "token = { path_component = 'eprod.ldf' }", true),
    ("x", "x a/EPROD.LDF", "token = { path_component = 'eprod.ldf' }", true),
    ("x", "x eprod.ldf", "token = { path_component = 'eprod.ldf' }", true),
    ("x", r"x C:\eprod.ldf\y", "token = { path_component = 'eprod.ldf' }", false),
    ("x", "x myeprod.ldf", "token = { path_component = 'eprod.ldf' }", false),
    // Arguments: first, last, any, after another.
    ("scp", "scp f u@h:", "arg_last = { ends_with = ':' }", true),
    ("scp", r#"scp f u@host:"/up dir/f""#, "arg_last = 'u@host:/up dir/f'", true),
    ("scp", "scp:", "arg_last = { ends_with = ':' }", false), // the program is neither first nor last
    ("pktmon", "pktmon start x", "arg_first = 'start'", true),
    ("pktmon", "pktmon x start", "arg_first = 'start'", false),
    ("x", r#"x -snapshot "" y"#, "arg = ''", true),
    ("x", "x -snapshot y", "arg = ''", false),
    ("rclone", "rclone copy a :sftp,host=h:", "arg = { starts_with = ':sftp' }", true),
    ("rclone", r#"rclone copy "a :sftp" b"#, "arg = { starts_with = ':sftp' }", false),
    ("7za", r"7za a -mx9 C:\t\1.7z x", "arg_after = { after = 'a', path_component = '1.7z' }", true),
    ("7za", "7za a 2.7z 1.7z", "arg_after = { after = 'a', path_component = '1.7z' }", false),
    ("7za", "7za x 1.7z", "arg_after = { after = 'a', path_component = '1.7z' }", false),
    ("7za", "7za a", "arg_after = { after = 'a', path_component = '1.7z' }", false),
    // Tokens in order.
    ("cmd", r"cmd /c copy /Y .\1.7z \\s\d", r"sequence = ['copy', '.\1.7z', { unc = true }]", true),
    ("cmd", r"cmd /c copy \\s\d .\1.7z", r"sequence = ['copy', '.\1.7z', { unc = true }]", false),
    ("netsh", "netsh trace start", "sequence = ['trace', 'start']", true),
    ("netsh", "netsh start trace", "sequence = ['trace', 'start']", false),
    ("x", "x copy", "sequence = ['copy', 'copy']", false),
    // What stands after the switches, quotes kept.
    ("cmd", r#"cmd.exe /s /c ""C:\a b\x" y""#, r#"after_switches = { starts_with = '""C:\a b\x" y"' }"#, true),
    ("sh", "sh -c /usr/sbin/sendmail -t", "after_switches = '/usr/sbin/sendmail -t'", true),
    ("sh", "sh -c", "after_switches = { regex = '.' }", false),
    // `contains` reads the line without the quotes that have a non-blank on both sides; the others keep them.
    ("x", r#"x a"bc"d"#, "command_line = { contains = 'abcd' }", true),
    ("x", r#"x "a" b"#, "command_line = { contains = 'a b' }", false),
    ("x", "x  a\t b", "command_line = { contains = 'x a b' }", true),
    ("x", "x a^b", "command_line = { contains = 'ab' }", true),
    ("x", r#"x a"bc"d"#, r#"command_line = { regex = 'a"bc"d$' }"#, true),
    ("x", "  X a ", "command_line = 'x a'", true),
    // The image is compared without its extension.
    ("certutil", "", "image = 'CertUtil.exe'", true),
    ("certutil", "", "image = ['a', 'certutil']", true),
    ("certutil", "", "not = { image = 'certutil' }", false),
    ("ngrok", "", "image = { in_table = 'tunnel_tools_extended' }", false), // off by default
    // Nothing holds of a command line that is not there.
    ("x", "", "token = 'x'", false),
    ("x", "", "command_line = { exists = false }", true),
    ("x", "", "command_line = { contains = '' }", false),
];

#[test]
fn command_line_operators_keep_to_their_table() {
    let mut scratch = Scratch::default();
    let mut wrong = Vec::new();
    for (image, line, inline, wanted) in ROWS {
        let condition = compile(inline);
        if holds(&condition, &mut scratch, &[(Field::Image, image), (Field::CommandLine, line)]) != *wanted {
            wrong.push(format!("{line:?} {inline} should be {wanted}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn fields_are_compared_as_text_and_as_numbers() {
    type Fields = &'static [(Field, &'static str)];
    let rows: &[(&str, Fields, bool)] = &[
        ("bytes_out = { ge = 100 }", &[(Field::BytesOut, "100")], true),
        ("bytes_out = { gt = 100 }", &[(Field::BytesOut, "100")], false),
        ("bytes_out = { lt = 100, ge = 10 }", &[(Field::BytesOut, "99")], true),
        ("bytes_out = { le = 9 }", &[(Field::BytesOut, "ten")], false),
        ("bytes_out = { lt = 9 }", &[], false),
        ("method = { exists = true }", &[(Field::Method, "x")], true),
        ("src_host = 'PC1'", &[(Field::Host, "pc1")], true),
        ("file_name = { ends_with = '.zip', starts_with = 'a' }", &[(Field::FileName, "a.ZIP")], true),
        ("file_name = { ends_with = '.zip', starts_with = 'a' }", &[(Field::FileName, "b.zip")], false),
        ("file_name = { equals = 'A', case = true }", &[(Field::FileName, "a")], false),
        (
            "all = [{ method = 'GET' }, { any = [{ mime = 'a' }, { mime = 'b' }] }]",
            &[(Field::Method, "get"), (Field::Mime, "b")],
            true,
        ),
        (
            "method = 'GET', not = [{ mime = 'a' }, { mime = 'b' }]",
            &[(Field::Method, "get"), (Field::Mime, "b")],
            false,
        ),
        ("not = { method = 'GET' }", &[], true),
    ];
    for (inline, fields, wanted) in rows {
        assert_eq!(holds(&compile(inline), &mut Scratch::default(), fields), *wanted, "{inline}");
    }
}

#[test]
fn an_over_long_command_line_is_judged_on_its_head_and_tail() {
    let long = |middle: &str| format!("x -head {} {middle} {} -tail", "a".repeat(16_383), "b".repeat(16_383));
    let mut scratch = Scratch::default();
    let mut judge = |inline: &str, line: &str| {
        holds(&compile(inline), &mut scratch, &[(Field::Image, "x"), (Field::CommandLine, line)])
    };
    assert!(judge("switch_all = ['head', 'tail']", &long("-middle")));
    assert!(!judge("switch = 'middle'", &long("-middle")));
    assert!(!judge("command_line = { contains = 'aab' }", &long("")), "head and tail do not touch");
    // Blanks and carets do not make a line long.
    assert!(judge("switch = 'middle'", &format!("x {} -middle{} y", " ".repeat(40_000), "^".repeat(40_000))));
    // 32,767 characters are not too many, however many bytes they have.
    let line = format!("x {} -m y", "ä".repeat(32_767 - 7));
    assert!(judge("switch = { name = 'm', value = 'y' }", &line));
}

#[test]
fn an_explanation_names_what_was_found_and_a_failure_what_was_missing() {
    let condition = compile(
        "image = 'tshark', any = [{ switch = 'i' }, { token = 'x' }], not = { command_line = { contains = 'zz' } }",
    );
    let explain = |image: &str, line: &str| {
        let raw = format!("{image}{line}");
        let mut draft = Draft::default();
        draft.kind = EventType::ProcessCreated;
        draft.set(Field::Image, Span::raw(0, image.len()));
        draft.set(Field::CommandLine, Span::raw(image.len(), raw.len()));
        let event = EventView { draft: &draft, text: Text { raw: raw.as_bytes(), arena: &[] } };
        let mut scratch = Scratch::default();
        let held: Vec<String> = condition
            .explain(event, &mut scratch)
            .iter()
            .map(|m| format!("{} {:?} {}", m.field, m.value, m.test))
            .collect();
        (held, condition.why_not(event, &mut scratch))
    };
    let (held, why_not) = explain("tshark", "tshark -nieth0");
    assert_eq!(
        held,
        [
            "image \"tshark\" equals tshark",
            "command_line \"ieth0\" switch equals i",
            "command_line \"tshark -nieth0\" not: contains zz"
        ]
    );
    assert_eq!(why_not, None);
    let (held, why_not) = explain("tshark", "tshark -r y");
    assert!(held.is_empty());
    assert_eq!(
        why_not.unwrap(),
        "none of 2 alternatives holds; the closest: command_line is \"tshark -r y\"; wanted: switch equals i"
    );
    let (_, why_not) = explain("tshark", "tshark -i zz");
    assert_eq!(why_not.unwrap(), "an exception holds: command_line contains zz");
}
