-- Does an article's statement hold? One row a statement of February 2026, with figure, verdict and what is left out.
select claim, statement, article_figure, figure, figure_unit, judged_on, verdict, finding, left_out
from main.claim;
