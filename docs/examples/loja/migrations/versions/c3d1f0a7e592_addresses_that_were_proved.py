"""addresses_that_were_proved

Revision: c3d1f0a7e592
After: 4ba9054907b8
Written: 2026-11-22 11:04:00.000000
"""

import sqlalchemy as sa
from alembic import op

import tijolo.db.types

revision = "c3d1f0a7e592"
down_revision = "4ba9054907b8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("email_verified_at", tijolo.db.types.UtcDateTime(), nullable=True)
        )
    # this shop never had AUTH_AUTO_ACTIVATE: who was activated had opened the link
    op.execute("UPDATE users SET email_verified_at = activated_at")


def downgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_column("email_verified_at")
