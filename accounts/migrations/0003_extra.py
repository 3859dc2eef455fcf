from __future__ import annotations

from django.db import migrations, models

from accounts.apps import AccountsConfig

# The default of the database too: the last release serves on these tables and does not know the column.
EXTRA = models.JSONField(blank=True, db_default={}, default=dict, editable=False)


class Migration(migrations.Migration):
    dependencies = [
        (AccountsConfig.label, "0002_clerk_account"),
    ]

    operations = [
        migrations.AddField(model_name="user", name="extra", field=EXTRA),
        migrations.AddField(model_name="clerkaccount", name="extra", field=EXTRA),
    ]
