-- Each index is written for each request, all over once terminals are many. What
-- these two served others do as well: the last transaction of a terminal is
-- found by heads_tid, and what all sites have is found site by site.

DROP INDEX heads_last;
DROP INDEX heads_accepted;
