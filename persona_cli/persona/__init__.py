"""Who the person is: what is known of them beside their words."""
