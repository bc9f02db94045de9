-- Which part of the score moved?
select part, points_30d_before, points_7d_before, points, points - points_30d_before as moved_points
from answers.score_moved
order by abs(moved_points) desc;
