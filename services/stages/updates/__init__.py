"""Features that change while a release is served: setting live item features, and taking up new folders."""
