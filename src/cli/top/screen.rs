//! The terminal: draws the state, reads keys, and takes answers from a thread that asks the server.

use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::state::TopState;
use super::{TopError, TopSnapshot, snapshot, view};
use crate::cli::CliError;
use crate::cli::admin::wait_for;
use crate::client::AdminClient;
use crate::threads;

/// How long an answer may wait to be drawn.
const TICK: Duration = Duration::from_millis(100);

/// From the thread that asks the server.
enum TopEvent {
    Answer(Box<Result<TopSnapshot, TopError>>),
    /// SIGTERM or SIGHUP: the screen has to be given back first.
    End,
}

/// Shows the screen until the user quits, or the process is asked to end.
pub(super) fn run(state: TopState, admin: AdminClient, every: Duration) -> Result<(), TopError> {
    let (sender, events) = mpsc::channel();
    // It ends when nobody receives, or with the process.
    let asks = move || {
        // If it cannot ask, nothing is received any more, and the screen ends.
        let _ = wait_for(poll(&admin, every, &sender));
    };
    threads::spawn("weir-top", asks).map_err(TopError::Thread)?;
    // A panic gives the screen back, too.
    let mut terminal = ratatui::try_init().map_err(TopError::Terminal)?;
    let shown = show(&mut terminal, state, &events);
    let restored = ratatui::try_restore();
    shown.and(restored).map_err(TopError::Terminal)
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    mut state: TopState,
    events: &Receiver<TopEvent>,
) -> std::io::Result<()> {
    while !state.is_done {
        terminal.draw(|frame| view::draw(frame, &mut state))?;
        if event::poll(TICK)?
            && let Event::Key(key) = event::read()?
            && key.is_press()
        {
            state.press(key);
        }
        loop {
            match events.try_recv() {
                Ok(TopEvent::Answer(answer)) => state.update(*answer),
                Ok(TopEvent::End) | Err(TryRecvError::Disconnected) => break state.is_done = true,
                Err(TryRecvError::Empty) => break,
            }
        }
    }
    Ok(())
}

/// Asks the server at each interval, and after an outage again.
async fn poll(
    admin: &AdminClient,
    every: Duration,
    sender: &Sender<TopEvent>,
) -> Result<(), CliError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::new)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(CliError::new)?;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is immediate, and the first answer is on the screen.
    ticks.tick().await;
    loop {
        let event = tokio::select! {
            _ = terminate.recv() => TopEvent::End,
            _ = hangup.recv() => TopEvent::End,
            answer = async { ticks.tick().await; snapshot(admin).await } => TopEvent::Answer(Box::new(answer)),
        };
        if sender.send(event).is_err() {
            return Ok(());
        }
    }
}
