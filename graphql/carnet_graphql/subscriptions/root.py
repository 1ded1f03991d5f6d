"""The root of subscriptions."""

from __future__ import annotations

import strawberry

from carnet_graphql.subscriptions.calendar import CalendarSubscription
from carnet_graphql.subscriptions.documents import DocumentSubscription
from carnet_graphql.subscriptions.inbox import InboxSubscription
from carnet_graphql.subscriptions.journal import JournalSubscription
from carnet_graphql.subscriptions.threads import ThreadSubscription


@strawberry.type(
    description="Everything that can be followed. Each event carries a cursor; `after` takes up"
    " where a connection broke off, without a gap and without telling anything twice. After"
    " CURSOR_EXPIRED: subscribe without `after`, wait for `CaughtUp`, then read the lists anew."
)
class Subscription(
    CalendarSubscription,
    DocumentSubscription,
    InboxSubscription,
    JournalSubscription,
    ThreadSubscription,
):
    """Root of subscriptions."""
