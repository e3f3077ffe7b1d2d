//! What a generator says to have its stream follow a channel.

use std::sync::Arc;
use std::time::Duration;

use super::follower::{Behind, Extras, Follower};
use super::log::Resume;
use super::reader::Gap;
use super::subscription::{Feed, Subscription};
use super::{writer, Channel};
use crate::event::connection::EventConnection;
use crate::event::wire::SendError;

impl EventConnection<'_> {
    /// Hands the stream to a channel, as the last thing that a generator does. From here on the client gets the events
    /// of all topics that are published, and the generator's thread is free. Later sends fail.
    ///
    /// The client's last event id says [where it goes on](Channel#resuming).
    ///
    /// ```
    /// # use brooklet::{testing::Client, Channel, Event, EventSource};
    /// let news = Channel::setup().replay(1).open();
    /// news.publish(Event::new("rain"))?;
    /// let source = EventSource::new(move |connection| {
    ///     connection.event("welcome", "the news")?;
    ///     Ok(connection.follow(&news)?)
    /// });
    /// let stream = Client::get("/").in_memory(&source).leave_after(2).run();
    /// assert_eq!(stream.events()[1].data, "rain");
    /// # Ok::<(), brooklet::SendError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the stream is over, and the error of a snapshot's event that cannot be sent.
    pub fn follow(&mut self, channel: &Channel) -> Result<(), SendError> {
        let feed = self.greet(channel, None)?;
        self.hand_over(feed, Behind::GoesOn)
    }

    /// [`follow`](Self::follow), for events of these [topics](crate::Event::topic) and those without one. Clients may name
    /// the topics: one to which nothing is published costs some bytes as long as it is followed.
    ///
    /// ```
    /// use brooklet::{testing::Client, Channel, Event, EventSource};
    ///
    /// let news = Channel::setup().replay(10).open();
    /// news.publish(Event::new("for one").topic("user/17"))?;
    /// news.publish(Event::new("for all"))?;
    /// let source = EventSource::new(move |connection| {
    ///     let user = connection.request().query("user").unwrap_or("guest");
    ///     Ok(connection.follow_topics(&news, ["weather", &format!("user/{user}")])?)
    /// });
    /// let first_of = |user: &str| {
    ///     let stream = Client::get("/").query("user", user).in_memory(&source).leave_after(1).run();
    ///     stream.events()[0].data.clone()
    /// };
    /// assert_eq!([first_of("17"), first_of("18")], ["for one", "for all"]);
    /// # Ok::<(), brooklet::SendError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`follow`](Self::follow).
    pub fn follow_topics<T: AsRef<str>>(
        &mut self,
        channel: &Channel,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<(), SendError> {
        let feed = self.greet(channel, Some(&names(topics)))?;
        self.hand_over(feed, Behind::GoesOn)
    }

    /// Follows a channel from the event after the one with this id, or with `None` from the channel's first event. The
    /// id with which the client came does not count. It is for generators that have sent older events themselves, out of
    /// a database or a file.
    ///
    /// Returns whether the stream follows. With `false` the channel does not have that id, or the first event, any more
    /// or at all. Then nothing was sent, and the stream is still the generator's, which sends more and asks again:
    ///
    /// ```
    /// # use brooklet::{testing::Client, Channel, Event, EventSource};
    /// # fn older_than_what_the_channel_has(seen: u64) -> Vec<(u64, f64)> { (seen + 1..=3).map(|id| (id, 0.5)).collect() }
    /// let prices = Channel::setup().own_ids().open();
    /// for id in ["3", "4"] {
    ///     prices.publish(Event::new(0.5).id(id))?;
    /// }
    /// let source = EventSource::new(move |connection| {
    ///     let mut seen = connection.last_event_id().and_then(|id| id.parse().ok()).unwrap_or(0);
    ///     while !connection.follow_after(&prices, Some(&seen.to_string()))? {
    ///         for (number, price) in older_than_what_the_channel_has(seen) {
    ///             connection.send(Event::new(price).id(number.to_string()))?;
    ///             seen = number;
    ///         }
    ///     }
    ///     Ok(())
    /// });
    /// let stream = Client::get("/").in_memory(&source).leave_after(4).run();
    /// assert_eq!((stream.events().len(), stream.last_event_id()), (4, "4"));
    /// # Ok::<(), brooklet::SendError>(())
    /// ```
    ///
    /// The stream of a client that falls behind later is closed, without a `reset`. The client comes back with the id of
    /// what it has, and the generator can send what it lacks.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the stream is over.
    pub fn follow_after(&mut self, channel: &Channel, id: Option<&str>) -> Result<bool, SendError> {
        self.stream.begin()?;
        let joined = channel.shared.join(None, |log, interest| {
            match (log.resume(id, interest), log.history_start()) {
                (Resume::After(sequence), _) => Some(Gap::none(sequence + 1)),
                (Resume::Fresh, first @ 1) => Some(Gap::none(first)),
                _ => None,
            }
        });
        let reader = match joined {
            Some((reader, _)) => reader,
            None => return Ok(false),
        };
        self.hand_over(Feed::new(channel, reader), Behind::Leaves)?;
        Ok(true)
    }

    /// Tells the client where in a channel it stands. The snapshot, where there is one, is left to be sent.
    fn greet(&mut self, channel: &Channel, topics: Option<&[String]>) -> Result<Feed, SendError> {
        self.stream.begin()?;
        let (mut feed, mut gap) = Feed::join(channel, topics, self.last_event_id());
        self.stream.buffer.push_str(&std::mem::take(&mut gap.text));
        self.stream.flush(gap.events)?;
        feed.tell(gap, || self.stream.tick().map(drop))?;
        Ok(feed)
    }

    fn hand_over(&mut self, feed: Feed, behind: Behind) -> Result<(), SendError> {
        if self.stream.is_bound() {
            let mut subscription = Subscription::new(feed, self)?;
            // How it ended is no business of the generator any more.
            while let Ok(true) = subscription.forward(self, Duration::MAX) {}
            self.stream.hand_over();
            return Ok(());
        }
        let pace = self.pace;
        let stream = &mut self.stream;
        let (expires, settings) = (stream.expires, stream.settings);
        let connection = Arc::clone(&stream.connection);
        stream.hand_over();
        if let Some((shared, reader, snapshot)) = feed.into_parts() {
            let request = shared.watchers.tell_joined(self.request());
            let heartbeat = settings.heartbeat.clone();
            let extras = Extras { expires, heartbeat, pace, paced_until: None, behind, request };
            let follower =
                Follower::new(connection, reader, snapshot, settings.keep_alive, extras, &shared.settings);
            writer::hand_over(&shared, follower);
        }
        Ok(())
    }
}

fn names<T: AsRef<str>>(topics: impl IntoIterator<Item = T>) -> Vec<String> {
    topics.into_iter().map(|topic| topic.as_ref().to_owned()).collect()
}

impl Channel {
    /// Follows the channel on the generator's own thread, to mix its events with others. Where that is not needed,
    /// [`follow`](EventConnection::follow) costs less: it takes no thread.
    ///
    /// # Errors
    ///
    /// As [`follow`](EventConnection::follow).
    ///
    /// For an example see [`Subscription`].
    pub fn subscribe(&self, connection: &mut EventConnection<'_>) -> Result<Subscription, SendError> {
        let feed = connection.greet(self, None)?;
        Subscription::new(feed, connection)
    }

    /// [`subscribe`](Self::subscribe), for events of these [topics](crate::Event::topic) and those without one.
    ///
    /// # Errors
    ///
    /// As [`follow`](EventConnection::follow).
    pub fn subscribe_topics<T: AsRef<str>>(
        &self,
        connection: &mut EventConnection<'_>,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<Subscription, SendError> {
        let feed = connection.greet(self, Some(&names(topics)))?;
        Subscription::new(feed, connection)
    }
}
