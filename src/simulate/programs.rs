//! Programs of the office: installed ones, those that run from temporary directories, and ordinary command lines.
//!
//! A temporary program has a template and the key under which it must be known: the template's random parts change from
//! run to run, the key does not. Template marks: `%u` account, `%5` five letters and digits, `%d` six digits,
//! `%x` eight hex digits, `%g` a GUID, `%v` a version number.

/// An installed program.
#[derive(Clone, Copy, Debug)]
pub struct Installed {
    /// Directory; `%u` is the account.
    pub dir: &'static str,
    /// File name.
    pub name: &'static str,
    /// Product name.
    pub product: &'static str,
    /// Extension of the files it writes.
    pub ext: &'static str,
    /// What the vendor calls these files.
    pub kind: &'static str,
}

/// A program that runs from a temporary directory.
#[derive(Clone, Copy, Debug)]
pub struct Temporary {
    /// Directory template.
    pub dir: &'static str,
    /// File-name template.
    pub name: &'static str,
    /// Lower-case key: random parts and versions are `*`, the account is `%user%`.
    pub key: &'static str,
    /// Product name.
    pub product: &'static str,
}

/// A process start of the daily routine; fires nothing.
#[derive(Clone, Copy, Debug)]
pub struct Routine {
    /// Directory; `%u` is the account.
    pub dir: &'static str,
    /// File name.
    pub name: &'static str,
    /// Command line; `%d` and `%u` as above.
    pub line: &'static str,
}

const fn installed(
    dir: &'static str,
    name: &'static str,
    product: &'static str,
    ext: &'static str,
    kind: &'static str,
) -> Installed {
    Installed { dir, name, product, ext, kind }
}

/// Index of the shell, which writes the profile at log-on and copies files.
pub const EXPLORER: u8 = 0;
/// Index of a program whose directory only looks like a temporary one.
pub const TEMPORAL: u8 = 11;

/// Installed programs that write files. The last is used by planted scenes only.
pub const INSTALLED: &[Installed] = &[
    installed(r"C:\Windows", "explorer.exe", "Microsoft Windows", "lnk", "Shortcut"),
    installed(r"C:\Program Files\Microsoft Office\root\Office16", "EXCEL.EXE", "Microsoft Office", "xlsx", "Document"),
    installed(
        r"C:\Program Files\Microsoft Office\root\Office16",
        "WINWORD.EXE",
        "Microsoft Office",
        "docx",
        "Document",
    ),
    installed(
        r"C:\Program Files\Microsoft Office\root\Office16",
        "POWERPNT.EXE",
        "Microsoft Office",
        "pptx",
        "Document",
    ),
    installed(r"C:\Program Files\Microsoft Office\root\Office16", "OUTLOOK.EXE", "Microsoft Office", "msg", "Email"),
    installed(r"C:\Program Files\Google\Chrome\Application", "chrome.exe", "Google Chrome", "pdf", "Document"),
    installed(r"C:\Program Files (x86)\Microsoft\Edge\Application", "msedge.exe", "Microsoft Edge", "pdf", "Document"),
    installed(r"C:\Program Files\Adobe\Acrobat DC\Acrobat", "Acrobat.exe", "Adobe Acrobat", "pdf", "Document"),
    installed(
        r"C:\Users\%u\AppData\Local\Programs\Microsoft VS Code",
        "Code.exe",
        "Visual Studio Code",
        "ts",
        "Source",
    ),
    installed(r"C:\Program Files\7-Zip", "7zG.exe", "7-Zip", "zip", "Archive"),
    installed(r"C:\Windows\System32", "notepad.exe", "Microsoft Windows", "txt", "Text"),
    installed(r"C:\Temporal\cli", "temporal.exe", "Temporal", "log", "Text"),
];

/// How many of [`INSTALLED`] belong to the routine.
pub const ROUTINE_INSTALLED: u32 = 11;

const fn temporary(dir: &'static str, name: &'static str, key: &'static str, product: &'static str) -> Temporary {
    Temporary { dir, name, key, product }
}

/// Index of the anti-virus update that `SYSTEM` runs.
pub const DEFENDER: u8 = 0;
/// Index of the attachment that a victim opens.
pub const DROPPER: u8 = 1;
/// Index of the tool that an insider runs from a temporary directory.
pub const COLLECTOR_TOOL: u8 = 2;
/// The updaters that people have: `UPDATERS_FROM..UPDATERS_TO`.
pub const UPDATERS_FROM: u8 = 3;
/// See [`UPDATERS_FROM`].
pub const UPDATERS_TO: u8 = 15;
/// Programs that are rolled out to every machine.
pub const ROLLED_OUT: [u8; 2] = [15, 16];
/// Programs that come with another department.
pub const OF_ANOTHER_DEPARTMENT: [u8; 3] = [17, 18, 19];
/// Programs that attackers bring: from here to the end of the table.
pub const BROUGHT_FROM: u8 = 20;

/// Programs that run from temporary directories.
pub const TEMPORARY: &[Temporary] = &[
    temporary(r"C:\Windows\Temp\%g", "MpSigStub.exe", r"c:\windows\temp\*\mpsigstub.exe", "Microsoft Defender"),
    temporary(
        r"C:\Users\%u\AppData\Local\Microsoft\Windows\INetCache\Content.Outlook\%x",
        "Invoice_viewer.exe",
        r"c:\users\%user%\appdata\local\microsoft\windows\inetcache\content.outlook\*\invoice_viewer.exe",
        "",
    ),
    temporary(r"C:\Temp\sync", "sortfiles.exe", r"c:\temp\sync\sortfiles.exe", ""),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\is-%5.tmp",
        "VSCodeUserSetup.tmp",
        r"c:\users\%user%\appdata\local\temp\*\vscodeusersetup.tmp",
        "Visual Studio Code",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\_MEI%d",
        "awsconsole.exe",
        r"c:\users\%user%\appdata\local\temp\*\awsconsole.exe",
        "AWS tools",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\go-build%d\b001\exe",
        "server.exe",
        r"c:\users\%user%\appdata\local\temp\*\b001\exe\server.exe",
        "",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\scoped_dir%d",
        "chrome_installer.exe",
        r"c:\users\%user%\appdata\local\temp\*\chrome_installer.exe",
        "Google Chrome",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\%g",
        "dismhost.exe",
        r"c:\users\%user%\appdata\local\temp\*\dismhost.exe",
        "Microsoft Windows",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp",
        "zoom_installer-%v.exe",
        r"c:\users\%user%\appdata\local\temp\zoom_installer-*.exe",
        "Zoom",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\7zS%5",
        "setup-stub.exe",
        r"c:\users\%user%\appdata\local\temp\*\setup-stub.exe",
        "Firefox",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Teams",
        "TeamsUpdate.exe",
        r"c:\users\%user%\appdata\local\temp\teams\teamsupdate.exe",
        "Microsoft Teams",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp",
        "AdobeARM.exe",
        r"c:\users\%user%\appdata\local\temp\adobearm.exe",
        "Adobe Acrobat",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Slack",
        "SlackSetup.exe",
        r"c:\users\%user%\appdata\local\temp\slack\slacksetup.exe",
        "Slack",
    ),
    temporary(r"C:\Tmp\jdk", "jusched-au.exe", r"c:\tmp\jdk\jusched-au.exe", "Java"),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Rar$EX%d",
        "install printer.exe",
        r"c:\users\%user%\appdata\local\temp\*\install printer.exe",
        "",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\EndpointAgent",
        "agent-setup.exe",
        r"c:\users\%user%\appdata\local\temp\endpointagent\agent-setup.exe",
        "Endpoint Agent",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp",
        "vpnclient-update-%v.exe",
        r"c:\users\%user%\appdata\local\temp\vpnclient-update-*.exe",
        "VPN client",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\SapGui",
        "sapsetup.exe",
        r"c:\users\%user%\appdata\local\temp\sapgui\sapsetup.exe",
        "SAP GUI",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Tableau",
        "tabsetup.exe",
        r"c:\users\%user%\appdata\local\temp\tableau\tabsetup.exe",
        "Tableau",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Figma",
        "figma_update.exe",
        r"c:\users\%user%\appdata\local\temp\figma\figma_update.exe",
        "Figma",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Rar$EX%d",
        "scan_0412.exe",
        r"c:\users\%user%\appdata\local\temp\*\scan_0412.exe",
        "",
    ),
    temporary(r"C:\Users\%u\AppData\Local\Temp", "svch0st.exe", r"c:\users\%user%\appdata\local\temp\svch0st.exe", ""),
    temporary(r"C:\Windows\Temp", "rclone-sync.exe", r"c:\windows\temp\rclone-sync.exe", ""),
    temporary(
        r"C:\Users\%u\AppData\Local\Microsoft\Windows\INetCache\IE\%x",
        "update_player.exe",
        r"c:\users\%user%\appdata\local\microsoft\windows\inetcache\ie\*\update_player.exe",
        "",
    ),
    temporary(r"C:\Temp", "pack-and-send.exe", r"c:\temp\pack-and-send.exe", ""),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\_MEI%d",
        "grabber.exe",
        r"c:\users\%user%\appdata\local\temp\*\grabber.exe",
        "",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp",
        "scan_0611.exe",
        r"c:\users\%user%\appdata\local\temp\scan_0611.exe",
        "",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Rar$EX%d",
        "order-3381.exe",
        r"c:\users\%user%\appdata\local\temp\*\order-3381.exe",
        "",
    ),
    temporary(r"C:\Temp", "parcel_label.exe", r"c:\temp\parcel_label.exe", ""),
    temporary(r"C:\Windows\Temp\%g", "invoice-copy.exe", r"c:\windows\temp\*\invoice-copy.exe", ""),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp",
        "doc_viewer2.exe",
        r"c:\users\%user%\appdata\local\temp\doc_viewer2.exe",
        "",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Rar$EX%d",
        "chrome-fix.exe",
        r"c:\users\%user%\appdata\local\temp\*\chrome-fix.exe",
        "",
    ),
    temporary(r"C:\Temp", "winhelper32.exe", r"c:\temp\winhelper32.exe", ""),
    temporary(r"C:\Windows\Temp\%g", "sysmon-lite.exe", r"c:\windows\temp\*\sysmon-lite.exe", ""),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp",
        "netcheck.exe",
        r"c:\users\%user%\appdata\local\temp\netcheck.exe",
        "",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Rar$EX%d",
        "keytool-x.exe",
        r"c:\users\%user%\appdata\local\temp\*\keytool-x.exe",
        "",
    ),
    temporary(r"C:\Temp", "pdfmerge-pro.exe", r"c:\temp\pdfmerge-pro.exe", ""),
    temporary(r"C:\Windows\Temp\%g", "zip-and-ship.exe", r"c:\windows\temp\*\zip-and-ship.exe", ""),
    temporary(r"C:\Users\%u\AppData\Local\Temp", "ftpgo.exe", r"c:\users\%user%\appdata\local\temp\ftpgo.exe", ""),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Rar$EX%d",
        "mailsweep.exe",
        r"c:\users\%user%\appdata\local\temp\*\mailsweep.exe",
        "",
    ),
    temporary(r"C:\Temp", "cliplog.exe", r"c:\temp\cliplog.exe", ""),
    temporary(r"C:\Windows\Temp\%g", "screenrec-s.exe", r"c:\windows\temp\*\screenrec-s.exe", ""),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp",
        "dbdump-q.exe",
        r"c:\users\%user%\appdata\local\temp\dbdump-q.exe",
        "",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Rar$EX%d",
        "vaultcopy.exe",
        r"c:\users\%user%\appdata\local\temp\*\vaultcopy.exe",
        "",
    ),
    temporary(r"C:\Temp", "tokenview.exe", r"c:\temp\tokenview.exe", ""),
    temporary(r"C:\Windows\Temp\%g", "ldapwalk.exe", r"c:\windows\temp\*\ldapwalk.exe", ""),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp",
        "sharehunt.exe",
        r"c:\users\%user%\appdata\local\temp\sharehunt.exe",
        "",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Rar$EX%d",
        "passview-l.exe",
        r"c:\users\%user%\appdata\local\temp\*\passview-l.exe",
        "",
    ),
    temporary(r"C:\Temp", "drivecopy.exe", r"c:\temp\drivecopy.exe", ""),
    temporary(r"C:\Windows\Temp\%g", "usbmirror.exe", r"c:\windows\temp\*\usbmirror.exe", ""),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp",
        "cloudpush.exe",
        r"c:\users\%user%\appdata\local\temp\cloudpush.exe",
        "",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Rar$EX%d",
        "teamsgrab.exe",
        r"c:\users\%user%\appdata\local\temp\*\teamsgrab.exe",
        "",
    ),
    temporary(r"C:\Temp", "outlookx.exe", r"c:\temp\outlookx.exe", ""),
    temporary(r"C:\Windows\Temp\%g", "wifi-keys.exe", r"c:\windows\temp\*\wifi-keys.exe", ""),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp",
        "rdpwrap-t.exe",
        r"c:\users\%user%\appdata\local\temp\rdpwrap-t.exe",
        "",
    ),
    temporary(
        r"C:\Users\%u\AppData\Local\Temp\Rar$EX%d",
        "proxylite.exe",
        r"c:\users\%user%\appdata\local\temp\*\proxylite.exe",
        "",
    ),
    temporary(r"C:\Temp", "shadowcp.exe", r"c:\temp\shadowcp.exe", ""),
    temporary(r"C:\Windows\Temp\%g", "hashdump-q.exe", r"c:\windows\temp\*\hashdump-q.exe", ""),
];

const fn routine(dir: &'static str, name: &'static str, line: &'static str) -> Routine {
    Routine { dir, name, line }
}

/// Index of the service host, which opens every file of a collector.
pub const SERVICE_HOST: u8 = 0;

/// Ordinary process starts.
pub const ROUTINE: &[Routine] = &[
    routine(r"C:\Windows\System32", "svchost.exe", r"C:\Windows\System32\svchost.exe -k netsvcs -p -s Schedule"),
    routine(
        r"C:\Program Files\Google\Chrome\Application",
        "chrome.exe",
        r#""C:\Program Files\Google\Chrome\Application\chrome.exe" --type=renderer --lang=en-US --renderer-client-id=%d"#,
    ),
    routine(
        r"C:\Program Files (x86)\Microsoft\Edge\Application",
        "msedge.exe",
        r#""C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe" --type=utility --lang=de --service-sandbox-type=none"#,
    ),
    routine(
        r"C:\Program Files\Microsoft Office\root\Office16",
        "EXCEL.EXE",
        r#""C:\Program Files\Microsoft Office\root\Office16\EXCEL.EXE" "C:\Users\%u\Documents\Budget a=b.xlsx""#,
    ),
    routine(
        r"C:\Program Files\Microsoft Office\root\Office16",
        "OUTLOOK.EXE",
        r#""C:\Program Files\Microsoft Office\root\Office16\OUTLOOK.EXE" /recycle"#,
    ),
    routine(r"C:\Windows\System32", "conhost.exe", r"\??\C:\Windows\system32\conhost.exe 0xffffffff -ForceV1"),
    routine(r"C:\Windows\System32", "taskhostw.exe", "taskhostw.exe Install $(Arg0)"),
    routine(
        r"C:\Windows\System32\WindowsPowerShell\v1.0",
        "powershell.exe",
        r"powershell.exe -NoProfile -ExecutionPolicy RemoteSigned -File C:\Scripts\inventory.ps1 -Days 7",
    ),
    routine(r"C:\Windows\System32", "cmd.exe", r"cmd.exe /c dir C:\Users\Public /s /b > C:\Users\Public\out_%d.txt"),
    routine(r"C:\Program Files\Git\cmd", "git.exe", "git.exe status --porcelain --branch --untracked-files=all"),
    routine(
        r"C:\Program Files\7-Zip",
        "7z.exe",
        r#"7z.exe a "C:\Users\%u\Documents\backup %d.7z" C:\Users\%u\Documents"#,
    ),
    routine(r"C:\Windows\System32", "robocopy.exe", r"robocopy.exe C:\Data \\fs01\backup$ /MIR /R:1 /W:1"),
    routine(r"C:\Windows\System32", "curl.exe", "curl.exe -s -o NUL https://intranet.example.com/ping?a=b&host=%d"),
    routine(r"C:\Program Files\nodejs", "node.exe", "node.exe build.js --env production a=1 b=2"),
    routine(r"C:\Windows\System32", "gpupdate.exe", "gpupdate.exe /target:computer"),
    routine(r"C:\Windows\System32", "sc.exe", "sc.exe config BITS start= demand"),
];
