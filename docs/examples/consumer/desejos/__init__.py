"""Lists of wishes of the shop's customers: a service that believes another one's tokens."""
