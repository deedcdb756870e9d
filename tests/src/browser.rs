//! Pages in a headless Chromium.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::cluster::script;

/// How a page is shown.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Width in pixels of the page.
    pub width: u32,
    /// Whether the person prefers dark.
    pub dark: bool,
}

/// What a browser made of a page.
#[derive(Debug)]
pub struct Shown {
    /// Width of the whole page, also of what one would have to scroll to.
    pub content_width: u64,
    /// Colour of the text on the page, as CSS.
    pub ink: String,
    /// What stands there to be read.
    pub text: String,
    /// Place and size of each image: left, top, width, height.
    pub images: Vec<[u32; 4]>,
    /// How many colours the picture of each image has.
    pub colours: Vec<usize>,
    /// What the console says.
    pub console: Vec<String>,
}

/// Largest page in pixels.
const HEIGHT: u32 = 12_000;
/// The narrowest window that Chromium has; a narrower page is shown in a frame.
const WINDOW: u32 = 1280;

/// Shows a page that needs nothing but itself.
///
/// The page is put into a frame of the screen's width, where it sees that width as its own.
///
/// # Errors
/// Where Chromium can't be installed or started, or shows no page.
pub fn show(page: &str, screen: Screen) -> anyhow::Result<Shown> {
    let chromium = script("scripts/chromium", &[] as &[&str])?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("page.html");
    std::fs::write(&file, framed(page, screen.width))?;
    let run = |arguments: &[String]| browse(&chromium, screen, folder.path(), &file, arguments);

    let dumped = run(&["--dump-dom".into()])?;
    let dom = String::from_utf8_lossy(&dumped.stdout);
    let found = dom.split_once("<!--probe").and_then(|(_, rest)| rest.split_once("probe-->"));
    let (json, _) = found.ok_or_else(|| anyhow::anyhow!("the browser shows no page: {dumped:?}"))?;
    let probe: Value = serde_json::from_str(json)?;
    let images: Vec<[u32; 4]> = serde_json::from_value(probe["images"].clone())?;

    let picture = folder.path().join("page.png");
    run(&[format!("--screenshot={}", picture.display())])?;
    let picture = Picture::read(&picture)?;
    let console = String::from_utf8_lossy(&dumped.stderr);
    Ok(Shown {
        content_width: probe["width"].as_u64().unwrap_or(u64::MAX),
        ink: probe["ink"].as_str().unwrap_or_default().to_owned(),
        text: probe["text"].as_str().unwrap_or_default().to_owned(),
        colours: images.iter().map(|image| picture.colours(*image)).collect(),
        images,
        console: console.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect(),
    })
}

fn browse(
    chromium: &str,
    screen: Screen,
    folder: &Path,
    file: &Path,
    arguments: &[String],
) -> anyhow::Result<Output> {
    let mut command = Command::new(chromium);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command.arg(format!("--window-size={WINDOW},{HEIGHT}"));
    if screen.dark {
        command.arg("--blink-settings=preferredColorScheme=0");
    }
    Ok(command.args(arguments).arg(format!("file://{}", file.display())).output()?)
}

/// A page with `page` in a frame, and a comment of what is found in it.
fn framed(page: &str, width: u32) -> String {
    let escaped = page.replace('&', "&amp;").replace('"', "&quot;");
    let probe = r#"
      // Which comes after that of the frame, and can't have come before this script.
      addEventListener('load', () => {
        const page = document.querySelector('iframe').contentDocument;
        const place = image => { const at = image.getBoundingClientRect(); return [at.x, at.y, at.width, at.height].map(Math.round); };
        const found = {
          width: page.documentElement.scrollWidth,
          ink: getComputedStyle(page.body).color,
          text: page.body.innerText,
          images: [...page.querySelectorAll('svg[role=img]')].map(place),
        };
        document.body.append(document.createComment('probe' + JSON.stringify(found).replaceAll('--', '- -') + 'probe'));
      });"#;
    format!(
        "<!DOCTYPE html><meta charset=\"utf-8\"><link rel=\"icon\" href=\"data:,\"><body style=\"margin:0\">\
         <iframe style=\"border:0;width:{width}px;height:{HEIGHT}px\" srcdoc=\"{escaped}\"></iframe>\
         <script>{probe}</script>"
    )
}

/// A picture in memory.
struct Picture {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path)?)).read_info()?;
        let size = reader.output_buffer_size().ok_or_else(|| anyhow::anyhow!("the picture is too large"))?;
        let mut pixels = vec![0; size];
        let info = reader.next_frame(&mut pixels)?;
        let channels = info.color_type.samples();
        Ok(Picture { width: info.width as usize, height: info.height as usize, channels, pixels })
    }

    /// Different colours in a part.
    fn colours(&self, [left, top, width, height]: [u32; 4]) -> usize {
        let rows = top as usize..((top + height) as usize).min(self.height);
        let columns = left as usize..((left + width) as usize).min(self.width);
        let pixels = rows.flat_map(|row| columns.clone().map(move |column| row * self.width + column));
        let colours = pixels.map(|pixel| &self.pixels[pixel * self.channels..][..self.channels.min(3)]);
        colours.collect::<std::collections::HashSet<_>>().len()
    }
}
