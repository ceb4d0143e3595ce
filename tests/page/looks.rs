//! How the page looks: at each size, light and dark, with hostile values; and pictures of it.

use crate::browser::{Browser, Settings, is_there};
use crate::clicks::desk;
use crate::hostile::{hostile, pages, questions};
use crate::scene::{as_superuser, ids, key};
use crate::server::Page;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The pages that are looked at.
async fn paths(page: &Page, id: uuid::Uuid) -> Vec<(&'static str, String)> {
    let batch = page.json("/batches.json").await["rows"][0]["id"].as_str().unwrap().to_owned();
    vec![
        ("search", "/".into()),
        ("nothing", "/?actor=nobody".into()),
        ("found", "/?find=INV-11".into()),
        ("event", format!("/event/{id}")),
        ("failed", "/event/00000000-0000-7000-8000-000000000005".into()),
        ("request", "/event/00000000-0000-7000-8000-000000000003".into()),
        ("correlation", "/correlation/00000000-0000-7000-8000-0000000000cc".into()),
        ("entity", "/entity/account/3".into()),
        ("batches", "/batches".into()),
        ("batch", format!("/batch/{batch}")),
        ("checkpoints", "/checkpoints".into()),
        ("checkpoint", "/checkpoint/1".into()),
        ("catalogue", "/catalogue".into()),
        ("status", "/status".into()),
        ("error", "/nothing".into()),
        ("login", "/login".into()),
    ]
}

#[tokio::test]
async fn no_page_is_wider_than_its_view_from_320_to_2560_pixels() {
    if !is_there() {
        return;
    }
    let (database, key) = desk().await;
    let page = Page::start(&database, &["--public-key", &key.public().to_string()]);
    let id = *ids(&database).await.last().unwrap();
    let browser = Browser::start(Settings::default()).await;
    // 640 pixels are a view of 1,280 at 200 %.
    for width in [320, 640, 1280, 2560] {
        browser.resize(width, 800).await;
        for (name, path) in paths(&page, id).await {
            browser.open(&format!("{}{path}", page.url)).await;
            let over =
                browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
            assert_eq!(over, 0, "{name} at {width} pixels");
            let small = "[...document.querySelectorAll('main *')].filter(e => e.childElementCount === 0 && e.textContent.trim() \
                         && e.getClientRects().length && parseFloat(getComputedStyle(e).fontSize) < 11).map(e => e.outerHTML.slice(0, 100))";
            assert_eq!(browser.value(small).await, json!([]), "{name} at {width} pixels has text that is too small");
        }
    }
    let reports: Vec<_> = browser.reports().await.into_iter().filter(|report| !report.contains("404")).collect();
    assert_eq!(reports, [""; 0]);
}

#[tokio::test]
async fn light_and_dark_follow_the_viewers_preference() {
    if !is_there() {
        return;
    }
    let (database, _) = desk().await;
    let page = Page::start(&database, &[]);
    for (dark, darkest, lightest) in [(false, 200, 256), (true, 0, 60)] {
        let browser = Browser::start(Settings { dark, ..Settings::default() }).await;
        browser.open(&page.url).await;
        let background =
            browser.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)").await;
        let background: Vec<i64> = serde_json::from_value(background).unwrap();
        assert!(background.iter().all(|part| (darkest..lightest).contains(part)), "{background:?}");
    }
}

/// Names what a document has and no template of the page makes, in Chromium's own reading of it.
const FOREIGN: &str = r#"const foreign = (d) => {
  const bad = [...d.querySelectorAll("iframe, img, object, embed, base, math, template, noscript, style, animate, video, audio, meta[http-equiv]")];
  const all = [...d.querySelectorAll("*")];
  const isOwn = (a) => /^(\/(?!\/)|#)/.test(a.value);
  const isBad = (a) => /^on|^style$|^srcdoc$/i.test(a.name) || (/^(href|src|action|formaction|xlink:href)$/i.test(a.name) && !isOwn(a));
  bad.push(...all.filter((e) => [...e.attributes].some(isBad)));
  if (d.scripts.length !== 1) bad.push(...d.scripts);
  return bad.map((e) => e.outerHTML.slice(0, 200));
};"#;

#[tokio::test]
async fn no_hostile_value_runs_or_breaks_the_policy() {
    if !is_there() {
        return;
    }
    let database = hostile().await;
    let page = Page::start(&database, &["--public-key", &key().public().to_string()]);
    let browser = Browser::start(Settings::default()).await;
    let mut paths = pages(&page).await;
    // Whatever runs, opens a dialog or breaks the policy does it on a visit. The lists have every
    // payload in each of their columns, and the pages of events look alike.
    let events = paths.iter().filter(|path| path.starts_with("/event/")).step_by(6);
    let lists = paths.iter().filter(|path| !path.starts_with("/event/") && !path.starts_with("/checkpoint/"));
    for path in lists.chain(events) {
        browser.open(&format!("{}{path}", page.url)).await;
        assert!(browser.client.get_alert_text().await.is_err(), "{path} opened a dialog");
        let found = browser.client.execute(&format!("{FOREIGN} return foreign(document)"), vec![]).await.unwrap();
        assert_eq!(found, json!([]), "{path}");
    }
    let reports: Vec<_> = browser.reports().await.into_iter().filter(|report| !report.contains("404")).collect();
    assert_eq!(reports, [""; 0]);
    // Chromium reads the others, too, among them what payloads in questions lead to.
    browser.open(&page.url).await;
    // Eight of them are about one payload, so that each kind has its turn.
    paths.extend(questions().into_iter().step_by(5));
    assert!(paths.len() > 700, "{}", paths.len());
    for some in paths.chunks(10) {
        let read = "const [paths, done] = arguments; \
                    const read = async (path) => { \
                      const answer = await fetch(path); \
                      if (!answer.headers.get('content-type')?.startsWith('text/html')) return []; \
                      return foreign(new DOMParser().parseFromString(await answer.text(), 'text/html')).map((found) => path + ': ' + found); \
                    }; \
                    Promise.all(paths.map(read)).then((all) => done(all.flat()), (error) => done(['' + error]))";
        let found = browser.client.execute_async(&format!("{FOREIGN} {read}"), vec![json!(some)]).await.unwrap();
        assert_eq!(found, json!([]));
    }
    // And some of those are visited: timelines of hostile names, and questions that are refused.
    for path in questions().iter().step_by(37) {
        browser.open(&format!("{}{path}", page.url)).await;
        assert!(browser.client.get_alert_text().await.is_err(), "{path} opened a dialog");
    }
    let reports = browser.reports().await;
    let reports: Vec<_> = reports.into_iter().filter(|report| !report.contains("status of 40")).collect();
    assert_eq!(reports, [""; 0]);
}

/// Views at which axe-core looks, in pixels of the style sheet; 640 are a view of 1,280 at 200 %.
const VIEWS: [u32; 5] = [320, 400, 640, 1280, 2000];

/// AUDIT_AXE names the file axe.min.js of the npm package axe-core.
#[tokio::test]
async fn axe_finds_no_barrier() {
    let Some(axe) = std::env::var_os("AUDIT_AXE").filter(|_| is_there()) else {
        eprintln!("skipped: AUDIT_AXE does not name axe.min.js of the npm package axe-core");
        return;
    };
    let axe = std::fs::read_to_string(axe).unwrap();
    let (database, key) = desk().await;
    let page = Page::start(&database, &["--public-key", &key.public().to_string()]);
    let ids = ids(&database).await;
    let altered = ids[128];
    as_superuser(&database, &format!("UPDATE audit_events SET actor = 'user:nobody' WHERE id = '{altered}'")).await;
    let mut paths = paths(&page, *ids.last().unwrap()).await;
    paths.extend([
        ("checked", "/?check=1".into()),
        ("altered", format!("/event/{altered}")),
        ("conditions", "/?outcome=ok&outcome=error&where=a%3D1&where=b%3D2&context=ip%3D1&own=1".into()),
        ("refused", "/?evnet=x".into()),
        ("actor", "/actor/user:1".into()),
        ("tenant", "/tenant/acme".into()),
    ]);
    let mut found = Vec::new();
    let browser = Browser::start(Settings::default()).await;
    for (name, path) in paths {
        browser.open(&format!("{}{path}", page.url)).await;
        browser.client.execute(&axe, vec![]).await.unwrap();
        for (width, dark) in VIEWS.into_iter().flat_map(|width| [(width, false), (width, true)]) {
            browser.prefers(dark).await;
            browser.resize(width, 900).await;
            let run = "const done = arguments[0]; axe.run(document, {resultTypes: ['violations'], \
                       runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}) \
                       .then(r => done(r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 160) + ' ' + n.failureSummary.slice(0, 200)).slice(0, 3).join(' | '))))";
            let violations = browser.client.execute_async(run, vec![]).await.unwrap();
            for violation in violations.as_array().unwrap() {
                found.push(format!("{name} ({width} pixels, dark: {dark}): {}", violation.as_str().unwrap()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// AUDIT_PAGE_PICTURES names the directory for them.
#[tokio::test]
async fn pictures_of_the_pages() {
    let Some(directory) = std::env::var_os("AUDIT_PAGE_PICTURES").map(PathBuf::from).filter(|_| is_there()) else {
        eprintln!("skipped: AUDIT_PAGE_PICTURES does not name a directory");
        return;
    };
    std::fs::create_dir_all(&directory).unwrap();
    let (database, key) = desk().await;
    let page = Page::start(&database, &["--public-key", &key.public().to_string()]);
    let all = ids(&database).await;
    let limit: uuid::Uuid =
        sqlx::query_scalar("SELECT id FROM audit_events WHERE event_type = 'account.limit_changed'")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    as_superuser(&database, &format!("UPDATE audit_events SET data = '{{\"cents\": 1}}' WHERE id = '{}'", all[128]))
        .await;
    page.page("/?check=1").await;
    // AUDIT_PAGE_PICTURED names some of the pages.
    let some = std::env::var("AUDIT_PAGE_PICTURED").ok();
    let is_pictured = |name: &str| some.as_ref().is_none_or(|some| some.split(',').any(|one| one == name));
    for dark in [false, true] {
        for width in [400, 1280, 2000] {
            let browser = Browser::start(Settings { width, height: 900, dark, script: true }).await;
            let mut paths = paths(&page, limit).await;
            paths.push(("altered", format!("/event/{}", all[128])));
            for (name, path) in paths.into_iter().filter(|(name, _)| is_pictured(name)) {
                browser.open(&format!("{}{path}", page.url)).await;
                let scheme = if dark { "dark" } else { "light" };
                // The list is long, and its picture stands in the README.
                let most = if name == "search" { 760 } else { 1_100 };
                browser.picture(&directory.join(format!("{name}-{width}-{scheme}.png")), most).await;
            }
        }
    }
    let value: Value = page.json("/events.json").await;
    assert!(value["events"].is_array());
}
