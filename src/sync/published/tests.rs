//! Fetches against a server on this machine that answers as it is told.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// What an answer ends with that never comes to its end.
const SLOW: &str = "\r\n\r\nslow";

/// A server that counts, and answers each connection with the same text.
async fn serve(answer: Arc<Mutex<String>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let count: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = answer.lock().unwrap().clone();
            tokio::spawn(async move {
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                if answer.ends_with(SLOW) {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (url, count)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn source(url: &str) -> Source {
    let (refresh, pause) = (Duration::from_secs(3_600), Duration::from_millis(300));
    Source { url: url.to_owned(), bytes_max: 1_000, refresh, pause, timeout: Duration::from_millis(500), wanted: Arc::default() }
}

/// The next thing that came, as text.
async fn next(came: &mut tokio::sync::mpsc::UnboundedReceiver<String>) -> String {
    tokio::time::timeout(Duration::from_secs(20), came.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_is_wanted_is_fetched_once_in_a_while_however_often_it_is_wanted() {
    let (url, count) = serve(Arc::new(Mutex::new(answer("200 OK", "one")))).await;
    let source = source(&url);
    let wanted = Arc::clone(&source.wanted);
    let (send, mut came) = tokio::sync::mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(follow(
        source,
        move |found| send.send(String::from_utf8_lossy(found.unwrap()).into_owned()).map_err(|error| error.to_string()),
        stopped,
    ));
    assert_eq!(next(&mut came).await, "one");
    let begun = Instant::now();
    // Ten thousand in a second, and more.
    while begun.elapsed() < Duration::from_millis(1_000) {
        (0..100).for_each(|_| wanted.store(true, Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let fetched = count.load(Ordering::SeqCst);
    assert!((2..=5).contains(&fetched), "{fetched} in a second, with 300 ms between two");
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
}

#[tokio::test]
async fn whatever_is_not_the_thing_itself_is_a_failure_that_says_what_and_passes() {
    let text = Arc::new(Mutex::new(String::new()));
    let (url, _) = serve(Arc::clone(&text)).await;
    let (stop, stopped) = watch::channel(false);
    for (told, expected) in [
        (answer("500 Internal Server Error", "x"), "it answers 500"),
        (answer("302 Found", "x"), "it answers 302"),
        (answer("200 OK", &"x".repeat(1_001)), "it has more than 1000 bytes"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx".to_owned(), "it does not answer: "),
        ("garbage\r\n\r\n".to_owned(), "it does not answer: "),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: 10{SLOW}"), "it does not answer: "),
        (answer("200 OK", "bad"), "not good"),
        (answer("200 OK", "good"), "good"),
    ] {
        text.lock().unwrap().clone_from(&told);
        let (send, mut came) = tokio::sync::mpsc::unbounded_channel();
        let take = move |found: Result<&[u8], &FetchError>| match found {
            Ok(b"bad") => Err("not good".to_owned()),
            Ok(bytes) => send.send(String::from_utf8_lossy(bytes).into_owned()).map_err(|error| error.to_string()),
            Err(error) => send.send(error.to_string()).map_err(|error| error.to_string()),
        };
        let task = tokio::spawn(follow(source(&url), take, stopped.clone()));
        let found = next(&mut came).await;
        assert!(found.starts_with(expected), "{told:?}: {found}");
        task.abort();
    }
    drop(stop);
}
