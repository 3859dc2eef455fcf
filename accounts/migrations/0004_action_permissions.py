from __future__ import annotations

from django.db import migrations

from accounts.apps import AccountsConfig


class Migration(migrations.Migration):
    dependencies = [
        (AccountsConfig.label, "0003_extra"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="clerkaccount",
            options={
                "permissions": (
                    ("sync_clerkaccount", "Can sync users again from Clerk"),
                    ("deactivate_clerkaccount", "Can deactivate and activate users"),
                    ("delete_here_clerkaccount", "Can delete users locally and restore them"),
                )
            },
        ),
        migrations.AlterModelOptions(
            name="user",
            options={
                "permissions": (
                    ("sync_user", "Can sync users again from Clerk"),
                    ("deactivate_user", "Can deactivate and activate users"),
                    ("delete_here_user", "Can delete users locally and restore them"),
                )
            },
        ),
    ]
